/** `dialtone cluster dump`: the cluster as the planner reads it, in a file. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { writeJson } from './screen.ts'
import { withSession } from './session.ts'

/** Adds the verb `dump` to the command `cluster`. */
export function addDumpCommand(cluster: Command): void {
  cluster
    .command('dump')
    .description('write the cluster as the planner reads it, without secrets, for dialtone plan --dump')
    .option('--out <file>', 'write it there; standard output when left out')
    .action(({ out }: { readonly out?: string }, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const dump = await api.call('dumpCluster', {})
        if (out === undefined) return writeJson(screen, dump)
        await writeFile(out, `${JSON.stringify(dump, null, 2)}\n`)
        screen.note(
          `${dump.vms.length} VMs on ${dump.hosts.length} hosts are in ${out}. Plan: dialtone plan --dump ${out}.\n`,
        )
      }),
    )
}
