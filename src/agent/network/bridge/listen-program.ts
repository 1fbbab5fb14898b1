/** Started in a network namespace by `listen-in-namespace.ts`: binds what it is told to, hands it over and ends. */
import { createServer } from 'node:net'

const [address = '', port = ''] = process.argv.slice(2)
const server = createServer({ pauseOnConnect: true })
server.once('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
server.listen(Number(port), address, () => process.send?.('listens', server, {}, () => process.exit(0)))
