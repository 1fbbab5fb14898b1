/** The cookie of a session: not to be read by scripts, not to be sent by other sites, and only over TLS where there is TLS. */

export type SessionCookie = {
  readonly clusterId: string
  readonly secret: string
  readonly maximumAgeSeconds: number
  readonly isSecure: boolean
}

/** The value of a `Set-Cookie` header. An age of 0 takes the cookie away. */
export function writeSessionCookie({ clusterId, secret, maximumAgeSeconds, isSecure }: SessionCookie): string {
  const attributes = ['Path=/', 'HttpOnly', 'SameSite=Strict', `Max-Age=${maximumAgeSeconds}`]
  return [`${nameFor(clusterId)}=${secret}`, ...attributes, ...(isSecure ? ['Secure'] : [])].join('; ')
}

/** What the `Cookie` header says of the session, if it has the form that `writeSessionCookie` gives it. */
export function readSessionCookie(header: string | undefined, clusterId: string): string | undefined {
  const name = nameFor(clusterId)
  const found = header
    ?.split(';')
    .map((part) => part.trim().split('='))
    .find(([key]) => key === name)
  return found?.[1] !== undefined && /^[A-Za-z0-9_-]{43}$/.test(found[1]) ? found[1] : undefined
}

function nameFor(clusterId: string): string {
  return `dialtone-${clusterId.slice(0, 8)}`
}
