/** The version of Dialtone, from its package. */
import packageJson from '../../package.json' with { type: 'json' }

export const productVersion: string = packageJson.version
