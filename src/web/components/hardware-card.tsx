/** What a machine has and is to have: processors and memory by sliders, disks, and what waits for its guest or its next start. */
import { Button, Group, NumberInput, Slider, Stack, Text } from '@mantine/core'
import { type SyntheticEvent, useState } from 'react'
import type { VmView } from '../../model/api/views.ts'
import { formatSize } from '../../model/byte-size.ts'
import { useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { memoryChoices, sizeCommand, sizeOf, whenItComes } from '../logic/machine-size.ts'
import { obstacleOfRole } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ConfirmDialog, type Question } from './confirm-dialog.tsx'
import { ActionButton, Card, CommandLine, Foreign } from './parts.tsx'

export function HardwareCard({ vm }: { readonly vm: VmView }) {
  return (
    <Card title={texts.hardware.title}>
      <Stack gap="md">
        {/* A size that arrived from elsewhere is what the sliders begin at anew. */}
        <Size key={`${vm.cpus} ${vm.memoryMiB}`} vm={vm} />
        <Pending vm={vm} />
        <Disks vm={vm} />
      </Stack>
    </Card>
  )
}

function Size({ vm }: { readonly vm: VmView }) {
  const { signedIn } = useConsole()
  const act = useAct()
  const choices = memoryChoices(vm)
  const [cpus, setCpus] = useState(vm.cpus)
  const [place, setPlace] = useState(choices.indexOf(vm.memoryMiB))
  const wish = sizeOf(vm, { cpus, memoryMiB: choices[place] ?? vm.memoryMiB })
  const apply = () =>
    void act(`${texts.hardware.change} ${vm.name}`, (client) =>
      client.call('changeVm', { params: { vm: vm.id }, body: wish }),
    )
  const isSame = Object.keys(wish).length === 0
  const obstacle = obstacleOfRole(signedIn.role, 'operator') ?? (isSame ? texts.hardware.same : null)
  return (
    <div>
      <div className="sliders">
        <div>
          <Text size="sm">
            {texts.columns.cpus}: <strong>{cpus}</strong>
          </Text>
          <Slider
            thumbLabel={texts.columns.cpus}
            min={1}
            max={vm.growth?.maximumCpus ?? 64}
            value={cpus}
            onChange={setCpus}
            label={null}
          />
        </div>
        <div>
          <Text size="sm">
            {texts.columns.memory}: <strong>{formatSize(choices[place] ?? vm.memoryMiB)}</strong>
          </Text>
          <Slider
            thumbLabel={texts.columns.memory}
            min={0}
            max={choices.length - 1}
            value={place}
            onChange={setPlace}
            label={null}
          />
        </div>
      </div>
      <Text size="sm" className="quiet" my={6}>
        {whenItComes(vm)}
      </Text>
      <Group gap="sm">
        <ActionButton label={texts.hardware.change} obstacle={obstacle} onPress={apply} />
        <CommandLine command={sizeCommand(vm.name, wish)} />
      </Group>
    </div>
  )
}

function Pending({ vm }: { readonly vm: VmView }) {
  if (vm.pending.length === 0) return null
  return (
    <ul className="differences" aria-label={texts.hardware.pending}>
      {vm.pending.map(({ what, which, wanted, present, when, why }) => (
        <li key={`${what} ${which}`}>
          {what} {which}: {texts.hardware.waits(wanted, present, when)} <Foreign text={why} />
        </li>
      ))}
    </ul>
  )
}

function Disks({ vm }: { readonly vm: VmView }) {
  const { signedIn } = useConsole()
  const act = useAct()
  const [question, setQuestion] = useState<Question | null>(null)
  const obstacle = obstacleOfRole(signedIn.role, 'operator')
  const askToDetach = (disk: string) =>
    setQuestion({
      title: texts.confirm.title(texts.hardware.detach, `${vm.name}:${disk}`),
      warning: texts.hardware.detachWarning,
      label: texts.hardware.detach,
      word: null,
      onYes: () =>
        void act(`${texts.hardware.detach} ${vm.name}:${disk}`, (client) =>
          client.call('detachDisk', { params: { vm: vm.id, disk } }),
        ),
    })
  return (
    <div>
      <Text size="sm" fw={600} component="h3">
        {texts.machine.disks}
      </Text>
      <ul className="disk-list">
        {vm.disks.map(({ volumeId, sizeMiB, format }, index) => (
          <li key={volumeId}>
            <span>
              {vm.name}:{index} · {formatSize(sizeMiB)} {format}
            </span>
            <ActionButton
              label={texts.hardware.detachDisk(index)}
              obstacle={obstacle ?? (index === 0 ? texts.hardware.rootStays : null)}
              onPress={() => askToDetach(String(index))}
              size="compact-xs"
            />
          </li>
        ))}
      </ul>
      <AddDisk vm={vm} obstacle={obstacle} />
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
    </div>
  )
}

function AddDisk({ vm, obstacle }: { readonly vm: VmView; readonly obstacle: string | null }) {
  const act = useAct()
  const [sizeMiB, setSizeMiB] = useState(1024)
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    if (obstacle !== null) return
    void act(`${texts.hardware.attach} ${vm.name}`, (client) =>
      client.call('attachDisk', { params: { vm: vm.id }, body: { sizeMiB } }),
    )
  }
  return (
    <form onSubmit={submit}>
      <Group align="flex-end" gap="sm">
        <NumberInput
          label={texts.hardware.diskSize}
          size="xs"
          min={1}
          value={sizeMiB}
          onChange={(value) => setSizeMiB(Math.max(1, Math.round(Number(value))))}
        />
        <Button type="submit" size="xs" variant="default" disabled={obstacle !== null}>
          {texts.hardware.attach}
        </Button>
        <CommandLine command={`dialtone vm disk attach ${vm.name} --size ${sizeMiB}MiB`} />
      </Group>
    </form>
  )
}
