/**
 * Listens in another network namespace, without a process that stays there: a short-lived one binds the socket and hands it to this one.
 * What connects to it comes from that namespace, whatever this process is in.
 */
import { spawn } from 'node:child_process'
import { Server } from 'node:net'
import { join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'

const timeoutMs = 10_000
const program = join(import.meta.dirname, 'listen-program.ts')

export function listenInNamespace(handle: string, address: string, port: number): Promise<Server> {
  const child = spawn('nsenter', [`--net=${handle}`, process.execPath, program, address, String(port)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let words = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-500)
  })
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new DialtoneError('network-failed', `nothing listens on ${address}:${port} in ${handle}: ${why}`))
    }
    const timer = setTimeout(() => fail('it took too long'), timeoutMs)
    child.once('message', (_message, server: unknown) => {
      clearTimeout(timer)
      if (server instanceof Server) resolve(server)
      else fail('no socket came')
    })
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => {
      if (code !== 0) fail(words.trim() || `exit ${code}`)
    })
  })
}
