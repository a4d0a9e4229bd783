import { Button, Group, Modal, NumberInput, Stack, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPencil } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, type Schemas } from "../../api/client";
import { done, failed } from "../../components/notify";
import { submitted } from "../../components/submitted";

export function EditApplication({ app }: { app: Schemas["ApplicationOut"] }) {
  const [opened, { open, close }] = useDisclosure();
  const [errors, setErrors] = useState<Record<string, string>>({});
  const queries = useQueryClient();
  const save = async (form: FormData) => {
    const rate = Number(form.get("throttleRate"));
    try {
      await api.PATCH("/api/v1/app/{app_id}", {
        params: { path: { app_id: app.id } },
        body: { name: String(form.get("name")), uid: String(form.get("uid")) || null, throttleRate: rate > 0 ? rate : null },
      });
      await queries.invalidateQueries({ queryKey: ["get", "/api/v1/app/{app_id}"] });
      done("Saved");
      close();
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    }
  };
  return (
    <>
      <Button variant="default" size="xs" leftSection={<IconPencil size={15} />} onClick={open}>Edit</Button>
      <Modal opened={opened} onClose={close} title="Edit application" centered>
        <form onSubmit={submitted(save)}>
          <Stack>
            <TextInput name="name" label="Name" required defaultValue={app.name} error={errors.name} data-autofocus />
            <TextInput name="uid" label="Uid" description="Your own id for this customer." defaultValue={app.uid ?? ""} error={errors.uid} />
            <NumberInput name="throttleRate" label="Rate limit" description="Most messages per second to this application." placeholder="None" min={1} defaultValue={app.throttleRate ?? ""} error={errors.throttleRate} />
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={close}>Cancel</Button>
              <Button type="submit">Save</Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}
