/** What is sent for a call of a route: written once, for clients on Node and in browsers. */
import { z } from 'zod'
import type { Route } from '../model/api/route.ts'

export type WrittenRequest = {
  readonly method: Route['method']
  /** From the contract's root on, with the query. */
  readonly path: string
  /** JSON. */
  readonly body: string | undefined
}

/** The input is typed by the route at the call, and validated by the server. */
export function writeRequest(route: Route, input: unknown): WrittenRequest {
  const { params, query, body } = inputSchema.parse(input)
  const path = route.path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(params[name])))
  const search = new URLSearchParams(
    Object.entries(query).flatMap(([key, value]) =>
      [value].flat().flatMap((one): [string, string][] => (one === undefined ? [] : [[key, String(one)]])),
    ),
  ).toString()
  return {
    method: route.method,
    path: `${path}${search && `?${search}`}`,
    body: body === undefined ? undefined : JSON.stringify(body),
  }
}

/** What can stand in an address. */
const wordSchema = z.union([z.string(), z.number(), z.boolean()])
const inputSchema = z.object({
  params: z.record(z.string(), wordSchema).default({}),
  query: z.record(z.string(), z.union([wordSchema, z.array(wordSchema)]).optional()).default({}),
  body: z.unknown().optional(),
})
