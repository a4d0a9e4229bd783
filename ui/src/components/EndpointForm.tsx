import { Button, Collapse, Group, Modal, NumberInput, Stack, TagsInput, TextInput, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";
import { $api, ApiError, type Schemas } from "../api/client";
import { failed } from "./notify";
import { submitted } from "./submitted";

export type EndpointFields = Pick<
  Schemas["EndpointUpdate"],
  "url" | "description" | "eventTypes" | "channels" | "throttleRate" | "uid" | "retrySchedule"
>;

interface Props {
  title: string;
  action: string;
  opened: boolean;
  onClose: () => void;
  /** What is there already. */
  from?: Schemas["EndpointOut"];
  save: (fields: EndpointFields) => Promise<unknown>;
}

/** What an endpoint is made of. */
export function EndpointForm({ title, action, opened, onClose, from, save }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="lg" centered>
      <Form action={action} onClose={onClose} save={save} {...(from && { from })} />
    </Modal>
  );
}

function Form({ action, onClose, from, save }: Omit<Props, "title" | "opened">) {
  const [eventTypes, setEventTypes] = useState(from?.eventTypes ?? from?.filterTypes ?? []);
  const [channels, setChannels] = useState(from?.channels ?? []);
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [more, { toggle }] = useDisclosure();
  const catalogue = $api.useQuery("get", "/api/v1/event-type", { params: { query: { limit: 250 } } });

  const submit = async (form: FormData) => {
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const rate = Number(text("throttleRate"));
    const schedule = text("retrySchedule").split(",").map((part) => part.trim()).filter(Boolean);
    try {
      await save({
        url: text("url"),
        description: text("description"),
        eventTypes: eventTypes.length ? eventTypes : null,
        channels: channels.length ? channels : null,
        throttleRate: rate > 0 ? rate : null,
        uid: text("uid") || null,
        retrySchedule: schedule.length ? schedule : null,
      });
      onClose();
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    }
  };

  return (
    <form onSubmit={submitted(submit)}>
      <Stack>
        <TextInput name="url" label="URL" description="Messages are posted here." type="url" placeholder="https://example.com/webhooks" required data-autofocus defaultValue={from?.url} error={errors.url} />
        <TextInput name="description" label="Description" defaultValue={from?.description} error={errors.description} />
        <TagsInput
          label="Event types"
          description="Only these are sent here; all, if none is chosen."
          placeholder={eventTypes.length ? undefined : "All event types"}
          data={catalogue.data?.data.map((type) => type.name) ?? []}
          value={eventTypes}
          onChange={setEventTypes}
          error={errors.eventTypes ?? errors.filterTypes}
          clearable
          clearButtonProps={{ "aria-label": "Clear event types" }}
        />
        <UnstyledButton onClick={toggle} aria-expanded={more} c="dimmed" fz="sm">
          <Group gap={4}><IconChevronDown size={16} style={{ rotate: more ? "180deg" : "0deg" }} /> More settings</Group>
        </UnstyledButton>
        <Collapse expanded={more}>
          <Stack>
            <TagsInput label="Channels" description="Only messages with one of these channels are sent here; all, if there is none." value={channels} onChange={setChannels} error={errors.channels} />
            <NumberInput name="throttleRate" label="Rate limit" description="Most requests per second." placeholder="None" min={1} defaultValue={from?.throttleRate ?? ""} error={errors.throttleRate} />
            <TextInput name="retrySchedule" label="Retry schedule" description="Waits between tries, like 5s, 5m, 1h. Empty: the server's own." placeholder="5s, 5m, 30m, 2h" defaultValue={from?.retrySchedule?.join(", ")} error={errors.retrySchedule} />
            <TextInput name="uid" label="Uid" description="Your own id for this endpoint." defaultValue={from?.uid ?? ""} error={errors.uid} />
          </Stack>
        </Collapse>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>Cancel</Button>
          <Button type="submit">{action}</Button>
        </Group>
      </Stack>
    </form>
  );
}
