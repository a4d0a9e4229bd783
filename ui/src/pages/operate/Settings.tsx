import { Button, Group, NativeSelect, NumberInput, Stack, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { $api, ApiError, api, type Schemas } from "../../api/client";
import { done, failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { ErrorState } from "../../components/states";
import { submitted } from "../../components/submitted";

const PATH = "/api/v1/environment/settings";

/** What holds for the whole organization. */
export function Settings() {
  const { data, error, refetch } = $api.useQuery("get", PATH);
  if (error) return <div className="hw-card"><ErrorState error={error} retry={() => void refetch()} /></div>;
  return <Section title="Settings of the organization">{data && <Form key={JSON.stringify(data)} settings={data} />}</Section>;
}

function Form({ settings }: { settings: Schemas["EnvironmentSettingsOut"] }) {
  const [errors, setErrors] = useState<Record<string, string>>({});
  const queries = useQueryClient();
  const save = async (form: FormData) => {
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const most = Number(text("maxPendingDeliveries"));
    try {
      await api.PATCH(PATH, {
        body: {
          schemaMode: text("schemaMode") as Schemas["SchemaMode"],
          payloadRetention: text("payloadRetention") || null,
          maxPendingDeliveries: most > 0 ? most : null,
        },
      });
      await queries.invalidateQueries({ queryKey: ["get", PATH] });
      done("Saved");
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    }
  };
  return (
    <form onSubmit={submitted(save)}>
      <Stack maw={520}>
        <NativeSelect
          name="schemaMode"
          label="Payloads are checked against their event type's schema"
          defaultValue={settings.schemaMode}
          data={[{ value: "off", label: "Not at all" }, { value: "warn", label: "Accept, and count what does not fit" }, { value: "reject", label: "Refuse what does not fit" }]}
        />
        <TextInput name="payloadRetention" label="Payloads are kept for" description="Like 30d or 12h. Empty: what the server is configured to." placeholder="The server's" defaultValue={settings.payloadRetention ?? ""} error={errors.payloadRetention} />
        <NumberInput name="maxPendingDeliveries" label="Most pending deliveries of an application" description="More messages are refused until there are fewer." placeholder="The server's" min={1} defaultValue={settings.maxPendingDeliveries ?? ""} error={errors.maxPendingDeliveries} />
        <Group><Button type="submit">Save</Button></Group>
      </Stack>
    </form>
  );
}
