/** Names that server and client must spell alike. */

/** The HTTP upgrade to a two-way stream of raw bytes. Browsers, which cannot speak it, use `websocket` with binary frames. */
export const rawProtocol = 'dialtone-raw'

/** Names of the frames that end a stream of events. A stream that stops without one was cut, and its reader comes back. */
export const streamEnd = 'stream-end'
export const streamError = 'stream-error'
