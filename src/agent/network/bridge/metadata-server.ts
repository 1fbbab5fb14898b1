/** Answers the machines of one network that ask 169.254.169.254 who they are. Each is known by its address, which its tap lets it not forge. */
import { createServer } from 'node:http'
import { metadataAddress } from '../../../model/cloud-init.ts'
import type { Metadata } from '../network.ts'
import { listenInNamespace } from './listen-in-namespace.ts'

const port = 80
const maximumConnections = 256
/** A question is one line and a few headers; who is slow with it is cut off. */
const questionTimeoutMs = 5_000
const maximumHeaderBytes = 8 * 1024

export async function serveMetadata(
  namespace: string,
  answer: (question: Omit<Parameters<Metadata>[0], 'networkId'>) => ReturnType<Metadata>,
): Promise<AsyncDisposable> {
  const listener = await listenInNamespace(namespace, metadataAddress, port)
  const server = createServer({ maxHeaderSize: maximumHeaderBytes, requestTimeout: questionTimeoutMs })
  server.on('request', ({ socket, method = '', url = '' }, response) => {
    const { status, body } = answer({ address: socket.remoteAddress ?? '', method, path: url })
    response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) })
    response.end(method === 'HEAD' ? '' : body)
  })
  listener.maxConnections = maximumConnections
  listener.on('connection', (socket) => void server.emit('connection', socket))
  listener.on('error', () => undefined)
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => void listener.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}
