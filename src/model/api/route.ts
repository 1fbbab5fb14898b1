/**
 * One row of a contract table. The table makes the server's routes, the typed client of CLI, console and agents, the OpenAPI document
 * and the shell completion: a path is written once.
 */
import type { z } from 'zod'

/** Least role a caller needs. `none`: before sign-in; `host`: a certificate of this cluster's own authority. */
export type Role = 'none' | 'viewer' | 'operator' | 'administrator' | 'host'

export type Route = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path with `:name` parameters. */
  readonly path: `/${string}`
  readonly role: Role
  /** One sentence for the OpenAPI document and the help. */
  readonly summary: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  /** What is answered. For `stream: 'events'` the type of each event's data; for 'bytes' and 'upgrade' it is left out. */
  readonly response?: z.ZodType
  readonly status?: 200 | 201 | 202 | 204
  /**
   * `events`: server-sent events; every such route understands `Last-Event-ID` and `?after=<id>` to resume. `bytes`: a file.
   * `upgrade`: a two-way byte stream after an HTTP upgrade to `dialtone-raw`, or to `websocket` with binary frames.
   */
  readonly stream?: 'events' | 'bytes' | 'upgrade'
}

export type Contract = Readonly<Record<string, Route>>

type InputPart<Schema> = Schema extends z.ZodType ? z.input<Schema> : undefined
type OutputPart<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined

/** A part that may be left out: its schema takes undefined (it has a default), or no field of it is needed. */
type Part<Name extends string, Input> = undefined extends Input
  ? { readonly [Key in Name]?: Input }
  : Record<never, never> extends Input
    ? { readonly [Key in Name]?: Input }
    : { readonly [Key in Name]: Input }

/** What a caller gives. Parts that the route doesn't have are left out. */
export type CallInput<R extends Route> = (R extends { params: infer P } ? { readonly params: InputPart<P> } : unknown) &
  (R extends { query: infer Q } ? Part<'query', InputPart<Q>> : unknown) &
  (R extends { body: infer B } ? Part<'body', InputPart<B>> : unknown)

/** What a handler receives, validated and with defaults filled in. */
export type HandlerInput<R extends Route> = {
  readonly params: R extends { params: infer P } ? OutputPart<P> : undefined
  readonly query: R extends { query: infer Q } ? OutputPart<Q> : undefined
  readonly body: R extends { body: infer B } ? OutputPart<B> : undefined
}

export type CallOutput<R extends Route> = R extends { response: infer S } ? OutputPart<S> : undefined
