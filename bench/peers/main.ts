/** `node bench/peers/main.ts PEER [--memory MiB] [--filled MiB] [--runs N]`: measures one peer alone, to see that it works. */
import { parseArgs } from 'node:util'
import { summarise } from '../figure.ts'
import { virshRestore, virshStart } from './libvirt/virsh-peers.ts'
import { pacemaker, pacemakerTuned } from './pacemaker/pacemaker-peer.ts'

const peers = [virshStart, virshRestore, pacemaker, pacemakerTuned]
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    memory: { type: 'string', default: '256' },
    filled: { type: 'string', default: '0' },
    runs: { type: 'string', default: '3' },
  },
})
const peer = peers.find(({ name }) => name === positionals[0])

if (peer === undefined) {
  process.stderr.write(`Which peer? ${peers.map(({ name }) => name).join(', ')}\n`)
  process.exitCode = 2
} else {
  const note = (line: string) => void process.stderr.write(`${line}\n`)
  await using open = await peer.open({ memoryMiB: Number(values.memory), filledMiB: Number(values.filled), note })
  const samples: number[] = []
  for (let run = 0; run < Number(values.runs); run += 1) {
    samples.push(await open.sample())
    note(`${peer.name} ${run + 1}/${values.runs}: ${Math.round(samples.at(-1) ?? 0)} ms`)
  }
  const { median, min, max } = summarise(samples)
  process.stdout.write(`${peer.name}: ${[min, median, max].map(Math.round).join(' / ')} ms (min / median / max)\n`)
}
