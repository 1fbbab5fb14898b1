/** The frames of a stream of server-sent events, and which of its ends a new connection may cure: on Node and in browsers. */
import { DialtoneError, errorCatalogue } from '../model/dialtone-error.ts'

export type Frame = { readonly id: string | undefined; readonly event: string | undefined; readonly data: string }

const maximumFrameCharacters = 16 * 1024 * 1024

/** Takes the text of one connection as it comes. A frame that is cut off in the middle is dropped: it comes again, whole, after the reconnect. */
export function createFrameReader(): (text: string) => readonly Frame[] {
  let rest = ''
  return (text) => {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    if (rest.length > maximumFrameCharacters) throw new DialtoneError('internal', 'An event is larger than 16 MiB.')
    return blocks.map(parseFrame).filter((frame) => frame !== undefined)
  }
}

/** Whether the next connection may do better. A refusal will be repeated; so will a revision that is gone. */
export function isPassing({ code }: DialtoneError): boolean {
  const { retryable, status } = errorCatalogue[code]
  return retryable && status >= 500
}

function parseFrame(block: string): Frame | undefined {
  let id: string | undefined
  let event: string | undefined
  const data: string[] = []
  for (const line of block.split('\n')) {
    if (line.startsWith('id: ')) id = line.slice(4)
    else if (line.startsWith('event: ')) event = line.slice(7)
    else if (line.startsWith('data: ')) data.push(line.slice(6))
  }
  return data.length === 0 ? undefined : { id, event, data: data.join('\n') }
}
