/** Takes requests to the hardware from the laboratory's verbs and from the power board. */
import { rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { z } from 'zod'
import { eachLine } from '../../linux/each-line.ts'
import { type HardwareAnswer, type HardwareRequest, hardwareRequestSchema } from './control-message.ts'
import type { HostMachine } from './host-machine.ts'

/** Listens on `path`, for root alone. Requests of one connection are answered as they are done, one line each. */
export async function serveControlSocket(path: string, hosts: ReadonlyMap<string, HostMachine>): Promise<void> {
  await rm(path, { force: true })
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    eachLine(socket, (line) => void answer(line, socket, hosts))
  })
  const previousMask = process.umask(0o177)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  }).finally(() => process.umask(previousMask))
}

async function answer(line: string, socket: Socket, hosts: ReadonlyMap<string, HostMachine>): Promise<void> {
  const reply = await carryOut(line, hosts).catch(
    (error: unknown): HardwareAnswer => ({
      ok: false,
      message: error instanceof Error ? error.message : String(error),
    }),
  )
  if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`)
}

async function carryOut(line: string, hosts: ReadonlyMap<string, HostMachine>): Promise<HardwareAnswer> {
  const parsed = hardwareRequestSchema.safeParse(jsonOf(line))
  if (!parsed.success) return { ok: false, message: `not a request: ${z.prettifyError(parsed.error)}` }
  const request = parsed.data
  if (request.host === undefined) {
    if (request.action !== 'status') return { ok: false, message: `${request.action} needs a host` }
    return { ok: true, hosts: [...hosts.values()].map((machine) => machine.status()) }
  }
  const machine = hosts.get(request.host)
  if (machine === undefined) return { ok: false, message: `there is no host ${request.host} here` }
  await act(machine, request)
  return { ok: true, hosts: [machine.status()] }
}

function act(machine: HostMachine, { action, cause, skipSelfTest }: HardwareRequest): Promise<void> {
  switch (action) {
    case 'on':
      return machine.on(cause, skipSelfTest)
    case 'off':
      return machine.off(cause)
    case 'reset':
      return machine.reset(cause)
    case 'cut':
      return machine.setCut(true, cause)
    case 'heal':
      return machine.setCut(false, cause)
    case 'status':
      return Promise.resolve()
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
