import { ActionIcon, Button, Group, Input, Menu, PasswordInput, Stack, Text, TextInput, Tooltip } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { CHANNELS, fresh, keepsUrl, MOST, type Channel } from "./channels";

interface Props {
  channels: Channel[];
  errors: Record<string, string>;
  onChange: (channels: Channel[]) => void;
}

/** Who is told. */
export function ChannelFields({ channels, errors, onChange }: Props) {
  const change = (key: number, part: Partial<Channel>) => onChange(channels.map((each) => (each.key === key ? { ...each, ...part } : each)));
  return (
    <Stack gap="xs" role="group" aria-label="Channels">
      <Input.Label component="div">Who is told</Input.Label>
      {channels.length === 0 && <Text size="sm" c="dimmed">Nobody: its alerts only stand on this page.</Text>}
      {channels.map((channel, index) => (
        <Group key={channel.key} gap="xs" wrap="nowrap" align="flex-start" className="hw-channel">
          <div style={{ flex: 1, minWidth: 0 }}>
            <Target
              channel={channel}
              kept={keepsUrl(channel, index)}
              error={Object.entries(errors).find(([name]) => name.startsWith(`channels.[${index}].`))?.[1]}
              change={(part) => change(channel.key, part)}
            />
          </div>
          <Tooltip label="Remove">
            <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${CHANNELS[channel.type]}`} onClick={() => onChange(channels.filter(({ key }) => key !== channel.key))}>
              <IconTrash size={16} />
            </ActionIcon>
          </Tooltip>
        </Group>
      ))}
      {errors.channels && <Input.Error>{errors.channels}</Input.Error>}
      {channels.length < MOST && <Add onAdd={(type) => onChange([...channels, fresh(type)])} />}
    </Stack>
  );
}

interface TargetProps {
  channel: Channel;
  kept: boolean;
  error: string | undefined;
  change: (part: Partial<Channel>) => void;
}

function Target({ channel, kept, error, change }: TargetProps) {
  const label = CHANNELS[channel.type] ?? channel.type;
  if (channel.type === "operational") {
    return (
      <>
        <Text size="sm" fw={560}>{label}</Text>
        <Text size="sm" c="dimmed">Whoever listens for operational webhooks gets <code>alert.fired</code> and <code>alert.cleared</code>.</Text>
        {error && <Input.Error>{error}</Input.Error>}
      </>
    );
  }
  if (channel.type === "email") {
    return <TextInput label={label} type="email" placeholder="ops@example.com" required value={channel.to} error={error} onChange={({ currentTarget }) => change({ to: currentTarget.value })} />;
  }
  const about = channel.stored && (kept ? `Empty keeps the one at ${channel.stored.host}.` : `Paste the one at ${channel.stored.host} again: another channel was removed before it.`);
  return (
    <PasswordInput
      label={label}
      description={about ?? (channel.type === "slack" ? "Of an incoming webhook of Slack, Mattermost or the like. Only its host is shown afterwards." : "It gets what an operational webhook says. Only its host is shown afterwards.")}
      placeholder={kept ? "Unchanged" : "https://…"}
      required={!kept}
      autoComplete="off"
      value={channel.url}
      error={error}
      onChange={({ currentTarget }) => change({ url: currentTarget.value })}
    />
  );
}

function Add({ onAdd }: { onAdd: (type: string) => void }) {
  return (
    <Menu position="bottom-start">
      <Menu.Target><Button variant="default" size="xs" w="fit-content" leftSection={<IconPlus size={15} />}>Add channel</Button></Menu.Target>
      <Menu.Dropdown>
        {Object.entries(CHANNELS).map(([type, label]) => <Menu.Item key={type} onClick={() => onAdd(type)}>{label}</Menu.Item>)}
      </Menu.Dropdown>
    </Menu>
  );
}
