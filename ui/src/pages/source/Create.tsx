import { Button, Group, Modal, PasswordInput, Select, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { $api, ApiError, api, type Schemas } from "../../api/client";
import { failed } from "../../components/notify";
import { Outside } from "../../components/Page";
import { submitted } from "../../components/submitted";

/** Makes a source of a provider of the catalogue. */
export function CreateSource() {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button leftSection={<IconPlus size={16} />} onClick={open}>Create source</Button>
      <Modal opened={opened} onClose={close} title="Create source" size="lg" centered><Form onClose={close} /></Modal>
    </>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const [type, setType] = useState<string | null>(null);
  const [errors, setErrors] = useState<Record<string, string>>({});
  const queries = useQueryClient();
  const navigate = useNavigate();
  const list = $api.useQuery("get", "/api/v1/provider");
  const provider = list.data?.data.find((each) => each.id === type);
  const create = async (form: FormData) => {
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const names = ["secret", ...(provider?.settings.map((setting) => setting.name) ?? [])];
    const config = Object.fromEntries(names.map((name) => [name, text(`config.${name}`)]).filter(([, value]) => value));
    try {
      const made = await api.POST("/ingest/api/v1/source", {
        body: { name: text("name"), uid: text("uid") || null, type: type!, config },
      });
      await queries.invalidateQueries({ queryKey: ["get", "/ingest/api/v1/source"] });
      await navigate({ to: "/source/$sourceId", params: { sourceId: made.data!.id } });
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    }
  };
  return (
    <form onSubmit={submitted(create)}>
      <Stack>
        <Select label="Provider" placeholder="Stripe, GitHub, Slack…" data={options(list.data?.data ?? [])} value={type} onChange={setType} searchable limit={100} required data-autofocus />
        {provider && <Setup provider={provider} />}
        <TextInput name="name" label="Name" required key={type} defaultValue={provider?.name} error={errors.name} />
        <TextInput name="uid" label="Uid" description="Your own id for it." error={errors.uid} />
        {provider?.needsSecret && (
          <PasswordInput name="config.secret" label="Secret" description={provider.sendsSecret ? "It may be left out: the provider sends it when it is set up." : "The one that the provider shows, or that you gave it."} required={!provider.sendsSecret} autoComplete="off" error={errors["config.secret"] ?? errors.config} />
        )}
        {provider?.settings.filter((setting) => !setting.secret).map((setting) => (
          <TextInput key={setting.name} name={`config.${setting.name}`} label={setting.name} description={setting.about} placeholder={setting.default ?? undefined} required={setting.required} error={errors[`config.${setting.name}`]} />
        ))}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>Cancel</Button>
          <Button type="submit" disabled={!type}>Create</Button>
        </Group>
      </Stack>
    </form>
  );
}

/** What whoever sets it up should know. */
export function Setup({ provider }: { provider: Schemas["ProviderOut"] }) {
  return (
    <div className="hw-note">
      <Stack gap={4}>
        {provider.notes && <Text size="sm">{provider.notes}</Text>}
        {provider.experimental && <Text size="sm">Its facts have not been checked against the provider yet.</Text>}
        <Text size="sm"><Outside href={provider.docs}>{provider.name}'s own page about its webhooks</Outside></Text>
      </Stack>
    </div>
  );
}

function options(providers: Schemas["ProviderOut"][]) {
  const groups = new Map<string, { value: string; label: string }[]>();
  for (const { id, name, category } of providers) groups.set(category, [...(groups.get(category) ?? []), { value: id, label: name }]);
  return [...groups].sort().map(([group, items]) => ({ group, items: items.sort((a, b) => a.label.localeCompare(b.label)) }));
}
