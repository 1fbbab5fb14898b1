/**
 * Counts the agents that this host has had, over its boots. By its number the leader knows the newest of them, however late the last word of an
 * earlier one arrives.
 */
import { open, readFile, rename } from 'node:fs/promises'

/** The number of an agent that begins now: higher than that of every agent before it. It is on the disk when this resolves. */
export async function beginLife(path: string): Promise<number> {
  const life = (await readLives(path)) + 1
  await writeLives(path, life)
  return life
}

/** The leader knows a newer agent than this one: what was kept here is too low. The next agent gets a higher number than that. */
export async function raiseLives(path: string, known: number): Promise<void> {
  if (known > (await readLives(path))) await writeLives(path, known)
}

/** A file that is lost or damaged counts as none: the leader knows better, and says so. */
async function readLives(path: string): Promise<number> {
  const lives = Number(await readFile(path, 'utf8').catch(() => '0'))
  return Number.isSafeInteger(lives) && lives >= 0 ? lives : 0
}

async function writeLives(path: string, lives: number): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(String(lives))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}
