/** All rules over one project. No violation means that the tree is as docs/architecture.md says. */
import { findGraphViolations } from './graph-rules.ts'
import { findImportViolations } from './import-rules.ts'
import { findLayoutViolations } from './layout-rules.ts'
import { findPlatformViolations } from './platform-rules.ts'
import { createProject, type Violation } from './project.ts'
import { findPromiseViolations } from './promise-rules.ts'

/** `files`: content by path from the project's root. */
export function checkArchitecture(files: ReadonlyMap<string, string>): Violation[] {
  const project = createProject(files)
  return [
    ...findImportViolations(project),
    ...findGraphViolations(project),
    ...findPlatformViolations(project),
    ...findLayoutViolations(project),
    ...findPromiseViolations(project),
  ]
}
