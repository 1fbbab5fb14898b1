/** What is going to be built, known before anything is: its version says whether it is built already. */
import type { TemplateManifest } from '../../src/model/template-manifest.ts'

export type Report = (step: string, fraction: number, message: string) => void

export type TemplatePlan = {
  readonly name: string
  readonly version: string
  /** Makes `template/` in the scratch folder, with the manifest in it. */
  build(scratch: string, report: Report): Promise<TemplateManifest>
}
