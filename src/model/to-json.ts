/** A value as it will be read back once it was written as JSON: plain, without what JSON can't hold. */
import { z } from 'zod'

export function toJson(value: unknown): z.infer<ReturnType<typeof z.json>> {
  return z.json().parse(JSON.parse(JSON.stringify(value)))
}
