/** A new machine: from what, how large, where. */
import {
  Button,
  Checkbox,
  NativeSelect,
  NumberInput,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { type SyntheticEvent, useState } from 'react'
import type { TemplateSpec } from '../../model/cluster.ts'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { Card, CommandLine, Foreign, PageHead } from '../components/parts.tsx'
import { type MachineForm, machineCommand, machineWish, nextName } from '../logic/machine-form.ts'
import { obstacleOfRole } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'

const modes = ['boot', 'warm', 'checkpoint'] as const

export function CreatePage() {
  const { templates, vms } = useCloud()
  const { signedIn } = useConsole()
  const navigate = useNavigate()
  const act = useAct()
  const first = [...templates.values()].find(({ name }) => name === 'tiny') ?? [...templates.values()][0]
  const [form, setForm] = useState<MachineForm>({
    template: first?.name ?? '',
    name: nextName('web', vms.values()),
    cpus: first?.defaultCpus ?? 1,
    memoryMiB: first?.defaultMemoryMiB ?? 256,
    storage: '',
    network: '',
    ha: true,
    recovery: 'boot',
    sshKeys: '',
  })
  const change = (changes: Partial<MachineForm>) => setForm({ ...form, ...changes })
  const obstacle = obstacleOfRole(signedIn.role, 'operator')
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault()
    const isAccepted = await act(`${texts.create.submit}: ${form.name}`, (client) =>
      client.call('createVm', { body: machineWish(form) }),
    )
    if (isAccepted) void navigate({ to: '/machines/$name', params: { name: form.name } })
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <PageHead title={texts.pages.create} />
      <Stack gap="md">
        <Gallery form={form} onChange={change} />
        <SimpleGrid cols={{ base: 1, md: 2 }}>
          <Size form={form} onChange={change} />
          <Behaviour form={form} onChange={change} />
        </SimpleGrid>
        <div className="create-end">
          <Button type="submit" disabled={obstacle !== null}>
            {texts.create.submit}
          </Button>
          {obstacle === null ? null : <Text>{obstacle}</Text>}
          <Text size="xs" className="quiet">
            {texts.create.command}: <CommandLine command={machineCommand(form)} />
          </Text>
        </div>
      </Stack>
    </form>
  )
}

type PartProps = { readonly form: MachineForm; readonly onChange: (changes: Partial<MachineForm>) => void }

function Gallery({ form, onChange }: PartProps) {
  const { templates } = useCloud()
  const shown = [...templates.values()].sort((left, right) => left.name.localeCompare(right.name))
  const choose = ({ name, defaultCpus, defaultMemoryMiB }: TemplateSpec) =>
    onChange({ template: name, cpus: defaultCpus, memoryMiB: defaultMemoryMiB })
  return (
    <Card title={texts.create.template}>
      <div className="gallery" role="radiogroup" aria-label={texts.create.template}>
        {shown.map((template) => (
          <label key={template.id} className="gallery-item">
            <input
              type="radio"
              name="template"
              value={template.name}
              checked={form.template === template.name}
              onChange={() => choose(template)}
            />
            <span>
              <strong>{template.name}</strong>
              <span className="quiet">
                <Foreign text={template.description} />
              </span>
            </span>
          </label>
        ))}
      </div>
    </Card>
  )
}

function Size({ form, onChange }: PartProps) {
  const { storages } = useCloud()
  const networks = useAnswer('listNetworks', {}).value?.networks ?? []
  const names = [...new Set([...storages.values()].map(({ name }) => name))]
  return (
    <Card title={texts.create.sizeAndPlace}>
      <Stack gap="sm">
        <TextInput
          label={texts.create.name}
          value={form.name}
          onChange={(event) => onChange({ name: event.currentTarget.value })}
          required
          withAsterisk={false}
          pattern="[a-z]([a-z0-9\-]{0,38}[a-z0-9])?"
        />
        <NumberInput
          label={texts.create.cpus}
          min={1}
          max={64}
          value={form.cpus}
          onChange={(value) => onChange({ cpus: Number(value) })}
        />
        <NumberInput
          label={texts.create.memory}
          min={16}
          step={128}
          value={form.memoryMiB}
          onChange={(value) => onChange({ memoryMiB: Number(value) })}
        />
        <NativeSelect
          label={texts.create.storage}
          value={form.storage}
          onChange={(event) => onChange({ storage: event.currentTarget.value })}
          data={[{ value: '', label: texts.create.storageDefault }, ...names]}
        />
        <NativeSelect
          label={texts.create.network}
          value={form.network}
          onChange={(event) => onChange({ network: event.currentTarget.value })}
          data={[{ value: '', label: 'flat' }, ...networks.map(({ name }) => name).filter((name) => name !== 'flat')]}
        />
      </Stack>
    </Card>
  )
}

function Behaviour({ form, onChange }: PartProps) {
  return (
    <Card title={texts.create.behaviour}>
      <Stack gap="sm">
        <Checkbox
          label={texts.create.ha}
          checked={form.ha}
          onChange={(event) => onChange({ ha: event.currentTarget.checked })}
        />
        <NativeSelect
          label={texts.create.recovery}
          value={form.recovery}
          onChange={(event) =>
            onChange({ recovery: modes.find((mode) => mode === event.currentTarget.value) ?? 'boot' })
          }
          data={modes.map((value) => ({ value, label: texts.machine.modes[value] }))}
        />
        <Textarea
          label={texts.create.keys}
          value={form.sshKeys}
          onChange={(event) => onChange({ sshKeys: event.currentTarget.value })}
          rows={4}
        />
      </Stack>
    </Card>
  )
}
