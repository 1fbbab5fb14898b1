/** The machine that operations are tried out on: what its owner asks of it, and what it has in memory and on its disks. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { type ProbeAnswer, waitForAnswer } from '../../src/cli/demo/http-probe.ts'
import type { TaskView, VmView } from '../../src/model/api/views.ts'
import type { OpenLaboratory } from '../open-laboratory.ts'

export type Contents = { readonly memory: string; readonly rootDisk: string }

/** What its guest sees of its hardware. */
export type Shape = { readonly cpus: number; readonly memoryMiB: number; readonly diskSizesMiB: string }

const sizeSchema = z.looseObject({ cpus: z.number(), memoryMiB: z.number() })

/** What the API answers a wish with: what was changed, and where that takes its time, the task that follows it. */
export type Asked = { readonly task?: TaskView } | VmView

export type Subject = {
  readonly laboratory: OpenLaboratory
  readonly api: OpenLaboratory['api']
  readonly name: string
  look(): Promise<VmView>
  answer(): Promise<ProbeAnswer>
  inGuest(script: string): Promise<string>
  /** Over HTTP, as an outside client. */
  guest(method: string, path: string): Promise<string>
  write(text: string): Promise<void>
  contents(): Promise<Contents>
  shape(): Promise<Shape>
  /** Waits for the task where there is one; throws when it failed. */
  done(asked: Promise<Asked>): Promise<void>
  until(what: string, isSo: (vm: VmView) => boolean | Promise<boolean>): Promise<VmView>
  /** Its guest has all that is wanted, but for what waits for its next start. */
  fitted(): Promise<VmView>
}

const patienceMs = 60_000

export function subjectIn(laboratory: OpenLaboratory, name: string): Subject {
  const { api } = laboratory
  const look = () => api.call('getVm', { params: { vm: name } })
  const inGuest = (script: string) => laboratory.inGuest(name, script)
  async function until(what: string, isSo: (vm: VmView) => boolean | Promise<boolean>): Promise<VmView> {
    const givesUpAtMs = performance.now() + patienceMs
    for (;;) {
      const vm = await look()
      if (await isSo(vm)) return vm
      assert.ok(performance.now() < givesUpAtMs, `${what}: not so, but ${JSON.stringify([vm.status, vm.pending])}`)
      await delay(50)
    }
  }
  const answer = async () =>
    (await waitForAnswer({ address: (await look()).address, name }, { deadlineMs: patienceMs })).answer
  const guest = async (method: string, path: string) => overHttp((await look()).address, { method, path })
  return {
    laboratory,
    api,
    name,
    look,
    answer,
    inGuest,
    until,
    guest,
    async write(text) {
      await answer()
      await inGuest(`echo ${text} > /run/mark; echo ${text} > /data/mark; sync`)
    },
    async contents() {
      await answer()
      const [memory = '', rootDisk = ''] = (
        await inGuest('cat /run/mark 2>/dev/null || echo gone; cat /data/mark')
      ).split('\n')
      return { memory, rootDisk }
    },
    async shape() {
      const { cpus, memoryMiB } = sizeSchema.parse(JSON.parse(await guest('GET', '/')))
      const diskSizesMiB = await inGuest(
        'for disk in /sys/block/vd*; do echo -n "$(( $(cat $disk/size) / 2048 )) "; done',
      )
      return { cpus, memoryMiB, diskSizesMiB }
    },
    async done(asked) {
      const answered = await asked
      if ('task' in answered && answered.task !== undefined) await laboratory.untilTaskEnds(answered.task.id)
    },
    fitted: () =>
      until('it has all that is wanted', ({ pending, status }) => {
        const isTold = status.state === 'running' && (status.hardware ?? null) !== null
        return isTold && pending.every(({ when }) => when !== 'soon')
      }),
  }
}

function overHttp(host: string, { method, path }: { readonly method: string; readonly path: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host, path, method, timeout: 20_000, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve(text))
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path} was not answered`)))
    asked.end()
  })
}
