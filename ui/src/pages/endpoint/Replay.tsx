/** Sends again: what failed, what was never sent, or everything, of a time. Shows how far that is. */
import { Button, Group, Modal, Progress, Radio, Select, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconHistory } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { $api, api } from "../../api/client";
import { useCan } from "../../api/session";
import { failed } from "../../components/notify";
import { count } from "../../format";

const KINDS = {
  recover: ["Failed messages", "Those whose last try failed."],
  "replay-missing": ["Missing messages", "Those that were never sent here: it was disabled, or did not exist."],
  "bulk-replay": ["All messages", "Also those that arrived: the receiver gets them twice."],
} as const;
type Kind = keyof typeof KINDS;

/** By hours; the server goes back two weeks at most. */
const TIMES = [
  { value: "1", label: "Last hour" }, { value: "6", label: "Last 6 hours" }, { value: "24", label: "Last day" },
  { value: "168", label: "Last 7 days" }, { value: "336", label: "Last 14 days" },
];

interface Props {
  appId: string;
  endpointId: string;
  /** Called with the task that was begun. */
  onStarted: (task: string) => void;
}

export function Replay(props: Props) {
  const [opened, { open, close }] = useDisclosure();
  if (!useCan("CreateAttempts")) return null;
  return (
    <>
      <Button variant="default" size="xs" leftSection={<IconHistory size={15} />} onClick={open}>Send again</Button>
      <Modal opened={opened} onClose={close} title="Send again" centered size="lg">
        <Start {...props} onStarted={(id) => { props.onStarted(id); close(); }} onClose={close} />
      </Modal>
    </>
  );
}

function Start({ appId, endpointId, onStarted, onClose }: Props & { onClose: () => void }) {
  const [kind, setKind] = useState<Kind>("recover");
  const [hours, setHours] = useState("24");
  // What is counted is what is sent: both go back to the same moment.
  const since = useMemo(() => new Date(Date.now() - Number(hours) * 3_600_000).toISOString(), [hours]);
  const [busy, setBusy] = useState(false);
  const path = `/api/v1/app/{app_id}/endpoint/{endpoint_id}/${kind}` as const;
  const request = { params: { path: { app_id: appId, endpoint_id: endpointId } }, body: { since } };
  const preview = $api.useQuery("post", `${path}/preview`, request, { retry: false });
  const start = async () => {
    setBusy(true);
    try {
      const { data } = await api.POST(path, request);
      onStarted(data!.id);
    } catch (error) {
      failed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Stack>
      <Radio.Group label="Which messages" value={kind} onChange={(value) => setKind(value as Kind)}>
        <Stack gap="xs" mt="xs">
          {Object.entries(KINDS).map(([value, [label, description]]) => <Radio key={value} value={value} label={label} description={description} />)}
        </Stack>
      </Radio.Group>
      <Select label="Sent in the" data={TIMES} value={hours} onChange={(value) => value && setHours(value)} allowDeselect={false} />
      <Text size="sm" role="status">
        {preview.data
          ? `${preview.data.capped ? "More than " : ""}${count(preview.data.messages)} messages would be sent again.`
          : preview.error instanceof Error ? preview.error.message : "Counting…"}
      </Text>
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>Cancel</Button>
        <Button onClick={() => void start()} loading={busy} disabled={preview.data?.messages === 0}>Send again</Button>
      </Group>
    </Stack>
  );
}

const STATES = { running: "Sending again", paused: "Paused", cancelled: "Cancelled", finished: "Done", failed: "Given up" };

/** How far a task is, by its id. */
export function Running({ id, dismiss }: { id: string; dismiss: () => void }) {
  const params = { path: { task_id: id } };
  const { data: task, error, refetch } = $api.useQuery(
    "get",
    "/api/v1/background-task/{task_id}",
    { params },
    { refetchInterval: (query) => (query.state.data && query.state.data.state !== "running" ? false : 1_000), retry: false },
  );
  const act = async (what: "pause" | "resume" | "cancel") => {
    try {
      await api.POST(`/api/v1/background-task/{task_id}/${what}` as const, { params });
      await refetch();
    } catch (error) {
      failed(error);
    }
  };
  const state = task?.state;
  const { messagesSent = 0, total } = task?.data ?? {};
  const share = state === "finished" ? 100 : total ? Math.min(100, (messagesSent / total) * 100) : null;
  return (
    <div className="hw-card hw-card-body" role="status">
      <Stack gap="xs">
        <Group justify="space-between">
          <Text size="sm" fw={560}>
            {error ? "It was started; how far it is cannot be seen here." : state ? STATES[state] : "Starting"}
            {task && ` · ${count(messagesSent)}${total ? ` of ${count(total)}` : ""} messages`}
          </Text>
          <Group gap={6}>
            {state === "running" && <Button size="compact-xs" variant="default" onClick={() => void act("pause")}>Pause</Button>}
            {state === "paused" && <Button size="compact-xs" variant="default" onClick={() => void act("resume")}>Resume</Button>}
            {(state === "running" || state === "paused") && task?.state && <Button size="compact-xs" variant="default" onClick={() => void act("cancel")}>Cancel</Button>}
            {(error || (state && state !== "running" && state !== "paused")) && <Button size="compact-xs" variant="default" onClick={dismiss}>Dismiss</Button>}
          </Group>
        </Group>
        {!error && (
          <Progress
            value={share ?? 100}
            animated={state === "running"}
            striped={state === "running"}
            aria-label="Messages sent again"
            {...(state === "failed" && { color: "red" })}
          />
        )}
      </Stack>
    </div>
  );
}
