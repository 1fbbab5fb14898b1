/** One line for each step of the set-up: what is being done while it lasts, and how long it took once it is done. */

const intervalMs = { terminal: 200, plain: 10_000 }

/**
 * Shows the step while the work lasts. On a terminal one line is rewritten; elsewhere a line appears at once and every
 * ten seconds.
 *
 * @param {string} name
 * @param {string} intent what is about to be done
 * @param {(report: (activity: string) => void) => Promise<string>} work resolves with what came of it
 */
export async function takeStep(name, intent, work) {
  const startedAtMs = performance.now()
  const isTerminal = process.stdout.isTTY
  const clear = isTerminal ? '\r\x1b[K' : ''
  let activity = intent
  /** @param {string} mark @param {string} text */
  const line = (mark, text) => `${mark} ${name.padEnd(9)} ${text}`
  const elapsed = () => `${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`
  const show = () => {
    const text = line('·', `${activity} … ${elapsed()}`)
    process.stdout.write(isTerminal ? clear + text.slice(0, process.stdout.columns - 1) : `${text}\n`)
  }
  show()
  const timer = setInterval(show, isTerminal ? intervalMs.terminal : intervalMs.plain)
  try {
    const result = await work((text) => {
      activity = text
    })
    process.stdout.write(`${clear}${line('✔', result)} (${elapsed()})\n`)
  } catch (error) {
    process.stdout.write(`${clear}${line('✖', activity)} (${elapsed()})\n`)
    throw error
  } finally {
    clearInterval(timer)
  }
}
