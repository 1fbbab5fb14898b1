/** `dialtone completion bash` */
import type { Command } from 'commander'

/** Candidates come from `dialtone __complete`, one a line, so that the script never lags behind the commands. */
const bashScript = `# Completion of dialtone for bash: source <(dialtone completion bash)
_dialtone() {
  local program=\${1/#\\~/$HOME} candidates
  candidates=$("$program" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$candidates" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _dialtone dialtone
`

/** Adds the shells to the command `completion`. */
export function addCompletionCommands(completion: Command): void {
  completion
    .command('bash')
    .description('print the script for bash: source <(dialtone completion bash)')
    .action(() => {
      process.stdout.write(bashScript)
    })
}
