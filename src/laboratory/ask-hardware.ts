/** One request to a laboratory's hardware. */
import { connect } from 'node:net'
import { DialtoneError } from '../model/dialtone-error.ts'
import { type HardwareRequest, type HostPowerStatus, hardwareAnswerSchema } from './hardware/control-message.ts'

export type HardwareQuestion = Pick<HardwareRequest, 'action'> & Partial<HardwareRequest>

/** Resolves with the hosts' states afterwards. Throws `host-unreachable` without an answer in time, `wrong-state` for a refusal. */
export function askHardware(
  controlSocket: string,
  question: HardwareQuestion,
  timeoutMs = 15_000,
): Promise<HostPowerStatus[]> {
  return new Promise((resolve, reject) => {
    let text = ''
    const fail = (cause?: Error) =>
      reject(
        new DialtoneError('host-unreachable', `the laboratory's hardware (${controlSocket}) does not answer`, {
          cause,
        }),
      )
    const settle = (line: string) => {
      const answer = hardwareAnswerSchema.parse(JSON.parse(line))
      if (answer.ok) resolve(answer.hosts)
      else reject(new DialtoneError('wrong-state', answer.message))
    }
    const socket = connect(controlSocket)
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    socket.setEncoding('utf8')
    socket.once('error', fail)
    socket.once('close', () => fail())
    socket.on('data', (chunk: string) => {
      text += chunk
      if (!text.endsWith('\n')) return
      settle(text)
      socket.destroy()
    })
    socket.write(`${JSON.stringify(question)}\n`)
  })
}
