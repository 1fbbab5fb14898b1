/** Compiles a description of a host's taps to a program for `nft -f`. Pure: same description, same program. */
import { compileFollowing, compileGroups, hasGroups } from './compile-groups.ts'
import { compileGuard } from './compile-guard.ts'
import { type Chain, type FilterDescription, renderChain } from './describe-filter.ts'

/** The name of our tables, one a family; no other table is ever named. */
export const tableName = 'dialtone'

/** Replaces our tables as a whole in one transaction: whatever was there, afterwards it is this, and never nothing in between. */
export function compileRules(description: FilterDescription): string {
  const follows = description.kind === 'bridge-netfilter' && hasGroups(description)
  return [
    `add table inet ${tableName}\ndelete table inet ${tableName}\n`,
    `add table bridge ${tableName}\ndelete table bridge ${tableName}\n`,
    follows ? table('inet', compileFollowing(description)) : '',
    table('bridge', [
      ...compileGuard(description.taps),
      ...(description.kind === 'stateless' ? [] : compileGroups(description)),
    ]),
  ].join('')
}

/** Removes what was ever made. */
export const removeRules = ['inet', 'bridge']
  .map((family) => `add table ${family} ${tableName}\ndelete table ${family} ${tableName}\n`)
  .join('')

function table(family: 'inet' | 'bridge', chains: readonly Chain[]): string {
  return `table ${family} ${tableName} {\n${chains.map(renderChain).join('')}}\n`
}
