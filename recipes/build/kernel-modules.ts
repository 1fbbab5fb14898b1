/** Kernel modules of a Debian kernel package, prepared so that they load quickly: closure, order, and only what loading needs. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DialtoneError } from '../../src/model/dialtone-error.ts'

export type KernelModule = { readonly name: string; readonly content: Buffer }

/** Finds modules by name, whichever of `-` and `_` is written, and knows what is built into the kernel. */
export class ModuleLibrary {
  readonly #paths = new Map<string, string>()
  readonly #builtIn = new Set<string>()

  /** Reads the tree below .../lib/modules/<kernel version>. */
  static async open(directory: string): Promise<ModuleLibrary> {
    const library = new ModuleLibrary()
    const files = await readdir(join(directory, 'kernel'), { recursive: true })
    for (const file of files.filter((name) => name.endsWith('.ko'))) {
      library.#paths.set(moduleName(file), join(directory, 'kernel', file))
    }
    const builtIn = await readFile(join(directory, 'modules.builtin'), 'utf8')
    for (const line of builtIn.split('\n').filter(Boolean)) library.#builtIn.add(moduleName(line))
    return library
  }

  /** The wanted modules and all they depend on, dependencies first, each once; built-in ones are left out. */
  async inLoadingOrder(names: readonly string[], loaded: ReadonlySet<string>): Promise<KernelModule[]> {
    const modules = new Map<string, KernelModule>()
    const add = async (name: string): Promise<void> => {
      const key = moduleName(name)
      if (modules.has(key) || loaded.has(key) || this.#builtIn.has(key)) return
      const path = this.#paths.get(key)
      if (path === undefined) throw new DialtoneError('invalid-input', `this kernel has no module ${name}`)
      const content = await readFile(path)
      for (const dependency of dependenciesOf(content)) await add(dependency)
      modules.set(key, { name: key, content: withoutTypeTable(withoutSignature(content)) })
    }
    for (const name of names) await add(name)
    return [...modules.values()]
  }
}

function moduleName(path: string): string {
  return basename(path.trim(), '.ko').replaceAll('-', '_')
}

function dependenciesOf(module: Buffer): string[] {
  const list = /\0depends=([\w,-]*)\0/.exec(module.toString('latin1'))?.[1] ?? ''
  return list.split(',').filter(Boolean)
}

const signatureMagic = '~Module signature appended~\n'
const signatureTrailerBytes = 12

/**
 * Cuts the appended signature off. The module goes from a package whose signature apt has checked into a file whose sum is
 * recorded; to check it once more at every start costs more than all else of loading it where a processor is emulated.
 */
export function withoutSignature(module: Buffer): Buffer {
  const magicAt = module.length - signatureMagic.length
  if (magicAt < signatureTrailerBytes || module.toString('latin1', magicAt) !== signatureMagic) return module
  const signatureBytes = module.readUInt32BE(magicAt - 4)
  return module.subarray(0, magicAt - signatureTrailerBytes - signatureBytes)
}

/** Renames the table of types for BPF, so that the kernel does not read it: no program of the machine wants it. */
export function withoutTypeTable(module: Buffer): Buffer {
  const changed = Buffer.from(module)
  const sectionsAt = Number(module.readBigUInt64LE(40))
  const namesHeader = sectionsAt + module.readUInt16LE(58) * module.readUInt16LE(62)
  const namesAt = Number(module.readBigUInt64LE(namesHeader + 24))
  const namesEnd = namesAt + Number(module.readBigUInt64LE(namesHeader + 32))
  const at = module.subarray(namesAt, namesEnd).indexOf('\0.BTF\0')
  if (at >= 0) changed.write('.xxx', namesAt + at + 1, 'latin1')
  return changed
}
