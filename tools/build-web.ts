/**
 * `npm run build:web`: builds the console into dist/web, where a controller serves it from, unless it is there as the sources are now.
 * Says `already built` or what it came to. `--force` builds in any case.
 */
import { createHash } from 'node:crypto'
import { glob, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { build } from 'vite'
import { type ConsoleFile, consoleListName, consoleListSchema } from '../src/controller/console/console-files.ts'

const root = join(import.meta.dirname, '..')
const target = join(root, 'dist/web')
const sources = ['src/{web,model,transport}/**/*.{ts,tsx,css,html,svg}', 'package-lock.json', 'tools/build-web.ts']

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const digest = await digestOfSources()
if (!process.argv.includes('--force') && (await builtFrom()) === digest) console.log('already built')
else await buildInto(`${target}.new`)

async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256')
  const paths: string[] = []
  for await (const path of glob(sources, { cwd: root })) if (!path.includes('.test.')) paths.push(path)
  for (const path of paths.sort()) hash.update(`${path}\0`).update(await readFile(join(root, path)))
  return hash.digest('hex')
}

async function builtFrom(): Promise<string | undefined> {
  const text = await readFile(join(target, consoleListName), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : consoleListSchema.parse(JSON.parse(text)).sources
}

/** Beside the old one, which is replaced once the new one is whole. */
async function buildInto(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await build({
    root: join(root, 'src/web'),
    configFile: false,
    logLevel: 'warn',
    base: '/',
    publicDir: false,
    build: {
      outDir: directory,
      emptyOutDir: true,
      target: 'es2023',
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      reportCompressedSize: false,
      chunkSizeWarningLimit: 2000,
      rolldownOptions: {
        // Libraries mark what runs in browsers for frameworks that render on servers: nothing here does.
        onLog: (level, log, print) => (log.code === 'MODULE_LEVEL_DIRECTIVE' ? undefined : print(level, log)),
      },
    },
    oxc: { jsx: { runtime: 'automatic' } },
  })
  const files: ConsoleFile[] = []
  for await (const path of glob('**/*.*', { cwd: directory })) files.push(await list(directory, path))
  await writeFile(join(directory, consoleListName), JSON.stringify({ sources: digest, files }))
  await mkdir(join(root, 'dist'), { recursive: true })
  await rm(target, { recursive: true, force: true })
  await rename(directory, target)
  await report(files)
}

async function list(directory: string, path: string): Promise<ConsoleFile> {
  const bytes = await readFile(join(directory, path))
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }
  await writeFile(join(directory, `${path}.br`), await promisify(brotliCompress)(bytes, quality))
  await writeFile(join(directory, `${path}.gz`), await promisify(gzip)(bytes))
  return {
    path: `/${path}`,
    type: types[extname(path)] ?? 'application/octet-stream',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    encodings: ['br', 'gzip'],
  }
}

async function report(files: readonly ConsoleFile[]): Promise<void> {
  let bytes = 0
  for (const { path } of files) if (path.endsWith('.js')) bytes += (await readFile(join(target, `${path}.br`))).length
  console.log(`built the console: ${files.length} files, ${Math.round(bytes / 1000)} kB of compressed script in all`)
}
