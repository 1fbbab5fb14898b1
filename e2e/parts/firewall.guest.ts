/**
 * What a guest does with TCP, as a program: `serve PORT…` echoes lines on these ports; `ask ADDRESS PORT` connects within 0.7 s, says
 * `open` or `closed`, and from then on sends each line that it is given and says what came back.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { createInterface } from 'node:readline'

const [verb, ...words] = process.argv.slice(2)
if (verb === 'serve') {
  for (const port of words) {
    const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket))
    await once(server.listen(Number(port), '0.0.0.0'), 'listening')
  }
  console.log('ready')
} else {
  const socket = createConnection({ host: words[0] ?? '', port: Number(words[1]) })
  socket.setNoDelay(true)
  const closed = () => {
    writeSync(1, 'closed\n')
    process.exit(0)
  }
  const timer = setTimeout(closed, 700)
  socket.on('error', closed)
  await once(socket, 'connect')
  clearTimeout(timer)
  console.log('open')
  socket.on('data', (bytes) => process.stdout.write(bytes))
  for await (const line of createInterface(process.stdin)) socket.write(`${line}\n`)
  process.exit(0)
}
