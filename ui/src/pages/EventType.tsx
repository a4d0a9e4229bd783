import { Button, Group, NativeSelect, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { IconArchive, IconArchiveOff } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { $api, ApiError, api, type Schemas } from "../api/client";
import { useOperator } from "../api/session";
import { Confirm } from "../components/Confirm";
import { TextLink } from "../components/links";
import { done, failed } from "../components/notify";
import { Page, Section } from "../components/Page";
import { Payload } from "../components/Payload";
import { SafeText, visible } from "../components/SafeText";
import { ErrorState } from "../components/states";
import { TypeStatus } from "./EventTypes";
import { submitted } from "../components/submitted";

const route = getRouteApi("/event-type/$name");
const PATH = "/api/v1/event-type/{event_type_name}";

export function EventType() {
  const { name } = route.useParams();
  const operator = useOperator();
  const queries = useQueryClient();
  const params = { path: { event_type_name: name } };
  const { data: type, error, refetch } = $api.useQuery("get", PATH, { params });
  const trail = [<TextLink key="types" to="/event-type">Event types</TextLink>];
  if (error) return <Page title={visible(name)} trail={trail}><ErrorState error={error} retry={() => void refetch()} /></Page>;
  const patch = async (body: Schemas["EventTypePatch"]) => {
    await api.PATCH(PATH, { params, body });
    await queries.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[1]).startsWith("/api/v1/event-type") });
  };
  const example = type && exampleOf(type.schemas);
  return (
    <Page
      title={visible(name)}
      badge={type && <TypeStatus type={type} />}
      trail={trail}
      description={type && <SafeText>{type.description}</SafeText>}
      actions={operator && type && (type.archived ? (
        <Button variant="default" size="xs" leftSection={<IconArchiveOff size={15} />} onClick={() => void patch({ archived: false }).catch(failed)}>Restore</Button>
      ) : (
        <Confirm action="Archive" title="Archive this event type?" run={() => patch({ archived: true })} icon={<IconArchive size={15} />}>
          It leaves the catalogue. Messages of this type are still accepted and delivered.
        </Confirm>
      ))}
    >
      <div className="hw-columns">
        <Stack gap="lg" miw={0}>
          {operator && type && <Edit type={type} key={type.updatedAt} patch={patch} />}
          {!operator && type?.schemas && <Section title="Schema"><Payload label="Schema" text={JSON.stringify(type.schemas)} /></Section>}
        </Stack>
        <Stack gap="lg" miw={0}>
          {example !== undefined && <Section title="Example"><Payload label="Example" text={JSON.stringify(example)} /></Section>}
          {operator && type && <TryIt key={type.updatedAt} name={name} example={example} />}
        </Stack>
      </div>
    </Page>
  );
}

/** The first example of the newest schema. */
function exampleOf(schemas: unknown): unknown {
  const newest = Object.values((schemas as Record<string, { examples?: unknown[]; example?: unknown }>) ?? {}).at(-1);
  return newest?.examples?.[0] ?? newest?.example;
}

function Edit({ type, patch }: { type: Schemas["EventTypeOut"]; patch: (body: Schemas["EventTypePatch"]) => Promise<void> }) {
  const [errors, setErrors] = useState<Record<string, string>>({});
  const save = async (form: FormData) => {
    const text = (name: string) => String(form.get(name) ?? "").trim();
    let schemas = null;
    try {
      schemas = text("schemas") ? JSON.parse(text("schemas")) : null;
    } catch (error) {
      return setErrors({ schemas: `Not JSON: ${(error as Error).message}` });
    }
    try {
      await patch({
        description: text("description"),
        groupName: text("groupName") || null,
        schemaMode: (text("schemaMode") || null) as Schemas["SchemaMode"] | null,
        schemas,
      });
      done("Saved");
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    }
  };
  const modes = [
    { value: "", label: "As the organization says" }, { value: "off", label: "Not at all" },
    { value: "warn", label: "Accept, and count what does not fit" }, { value: "reject", label: "Refuse what does not fit" },
  ];
  return (
    <Section title="Definition">
      <form onSubmit={submitted(save)}>
        <Stack>
          <TextInput name="description" label="Description" required defaultValue={type.description} error={errors.description} />
          <TextInput name="groupName" label="Group" defaultValue={type.groupName ?? ""} error={errors.groupName} />
          <NativeSelect name="schemaMode" label="Payloads are checked against the schema" data={modes} defaultValue={type.schemaMode ?? ""} />
          <Textarea
            name="schemas"
            label="Schemas"
            description='JSON Schemas by version, with examples: {"1": {"type": "object", "examples": [{}]}}'
            defaultValue={type.schemas ? JSON.stringify(type.schemas, null, 2) : ""}
            autosize
            minRows={6}
            maxRows={24}
            spellCheck={false}
            classNames={{ input: "hw-mono" }}
            error={errors.schemas}
          />
          <Group justify="flex-end"><Button type="submit">Save</Button></Group>
        </Stack>
      </form>
    </Section>
  );
}

function TryIt({ name, example }: { name: string; example: unknown }) {
  const [result, setResult] = useState<Schemas["EventTypeValidateOut"] | string>();
  const validate = async (form: FormData) => {
    try {
      const body = JSON.parse(String(form.get("payload")));
      const { data } = await api.POST(`${PATH}/validate`, { params: { path: { event_type_name: name } }, body });
      setResult(data!);
    } catch (error) {
      setResult(error instanceof SyntaxError ? `Not JSON: ${error.message}` : String((error as Error).message));
    }
  };
  return (
    <Section title="Try a payload" description="Whether it fits the schema. Nothing is sent.">
      <form onSubmit={submitted(validate)}>
        <Stack gap="sm">
          <Textarea
            name="payload"
            aria-label="Payload to try"
            autosize
            minRows={5}
            maxRows={16}
            spellCheck={false}
            classNames={{ input: "hw-mono" }}
            defaultValue={example === undefined ? "{}" : JSON.stringify(example, null, 2)}
          />
          <Group justify="space-between" align="flex-start">
            <div role="status" style={{ flex: 1 }}>
              {typeof result === "string" ? <Text size="sm">{result}</Text> : result?.valid ? <Text size="sm" c="var(--hw-good)">It fits.</Text> : result && (
                <Stack gap={2}>
                  {result.errors.map((error) => <Text size="sm" c="var(--hw-bad)" key={error.path + error.message}><code>{visible(error.path || "/")}</code>: <SafeText>{error.message}</SafeText></Text>)}
                </Stack>
              )}
            </div>
            <Button type="submit" variant="default">Try</Button>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
