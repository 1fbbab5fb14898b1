/** Debian packages as material: which version is offered, download, unpack. Nothing is installed and no root is needed. */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../src/linux/run-command.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'

export type PackageVersion = { readonly name: string; readonly version: string }

const queryTimeoutMs = 30_000
const networkTimeoutMs = 600_000

/**
 * The candidate version of each package, by the lists that are on this machine; the kernel's meta package is replaced by
 * the package that it stands for. Only if the lists lack one of them are they fetched anew (needs root and a network).
 */
export async function findPackageVersions(
  names: readonly string[],
  kernelPackage: string,
  onUpdate: () => void,
): Promise<PackageVersion[]> {
  const attempt = async () => candidateVersions([...names, await resolveKernelPackage(kernelPackage)])
  const first = await attempt().catch(() => undefined)
  if (first !== undefined) return first
  onUpdate()
  await runCommand('apt-get', ['update', '-qq'], { timeoutMs: networkTimeoutMs })
  return attempt()
}

/** Downloads exactly these versions into `directory` and unpacks them over one another into `root`. */
export async function unpackPackages(
  packages: readonly PackageVersion[],
  directory: string,
  root: string,
): Promise<void> {
  const downloads = join(directory, 'packages')
  await mkdir(downloads, { recursive: true })
  await mkdir(root, { recursive: true })
  // As root, apt would download as the user _apt, who may not write here, and complain about it.
  const wanted = packages.map(({ name, version }) => `${name}=${version}`)
  const script = 'cd "$0" && exec apt-get download -q -o APT::Sandbox::User=root "$@"'
  await runCommand('/bin/sh', ['-c', script, downloads, ...wanted], { timeoutMs: networkTimeoutMs })
  for (const file of (await readdir(downloads)).sort()) {
    await runCommand('dpkg-deb', ['-x', join(downloads, file), root], { timeoutMs: networkTimeoutMs })
  }
}

async function candidateVersions(names: readonly string[]): Promise<PackageVersion[]> {
  const text = await aptCache(['policy', ...names])
  const offered = new Map(
    [...text.matchAll(/^(\S+):\n {2}Installed: .*\n {2}Candidate: (.*)$/gm)].map(([, name, version]) => [
      name,
      version,
    ]),
  )
  return names.map((name) => {
    const version = offered.get(name)
    if (version === undefined || version === '(none)') throw noPackage(name)
    return { name, version }
  })
}

async function resolveKernelPackage(metaPackage: string): Promise<string> {
  const text = await aptCache(['show', '--no-all-versions', metaPackage])
  const name = /^Depends:.*?\b(linux-image-\S+)/m.exec(text)?.[1]
  if (name === undefined) throw noPackage(metaPackage)
  return name
}

function aptCache(args: readonly string[]): Promise<string> {
  return runCommand('env', ['LC_ALL=C', 'apt-cache', ...args], { timeoutMs: queryTimeoutMs })
}

function noPackage(name: string): DialtoneError {
  return new DialtoneError('machine-setup', `apt does not offer the Debian package ${name}: look at its sources list`)
}
