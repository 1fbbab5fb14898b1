/** What machines are made from. */
import { Button, SimpleGrid, Text } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { formatSize } from '../../model/byte-size.ts'
import { useCloud } from '../cloud/console-context.ts'
import { Facts } from '../components/facts.tsx'
import { Age, Card, Foreign, Nothing, PageHead } from '../components/parts.tsx'
import { createPage } from '../logic/pages.ts'
import { texts } from '../texts.ts'

export function TemplatesPage() {
  const { templates } = useCloud()
  const shown = [...templates.values()].sort((left, right) => left.name.localeCompare(right.name))
  return (
    <>
      <PageHead title={texts.pages.templates} />
      {shown.length === 0 ? <Nothing>{texts.templates.none}</Nothing> : null}
      <SimpleGrid cols={{ base: 1, sm: 2, xl: 3 }}>
        {shown.map((template) => (
          <Card key={template.id} title={template.name}>
            <Text mb="xs">
              <Foreign text={template.description} />
            </Text>
            <Facts
              facts={[
                [texts.templates.version, template.version],
                [texts.templates.boot, template.boot],
                [
                  texts.templates.size,
                  `${template.defaultCpus} × ${formatSize(template.defaultMemoryMiB)}, ${formatSize(template.rootDiskMiB)}`,
                ],
                [texts.templates.warm, template.warm === null ? texts.templates.no : texts.templates.yes],
              ]}
            />
            <Text size="sm" className="quiet" my="xs">
              {texts.templates.build} <Age at={template.builtAt} />
            </Text>
            <Button component={Link} to={createPage.path} size="xs" variant="default">
              {createPage.title}
            </Button>
          </Card>
        ))}
      </SimpleGrid>
    </>
  )
}
