import { Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { $api, authorized, type Schemas } from "../api/client";
import { memberText } from "../api/json";
import { useOperator } from "../api/session";
import { Chips } from "../components/Chips";
import { Id } from "../components/Id";
import { TextLink } from "../components/links";
import { Fact, Facts, Page, Section } from "../components/Page";
import { Payload } from "../components/Payload";
import { SafeText, visible } from "../components/SafeText";
import { ErrorState } from "../components/states";
import { Time } from "../components/Time";
import { Attempts } from "./message/Attempts";
import { Deliveries } from "./message/Deliveries";

const route = getRouteApi("/app/$appId/msg/$msgId");

/** The message, and the text of its payload as it was sent. */
async function read(appId: string, msgId: string) {
  const path = `/api/v1/app/${encodeURIComponent(appId)}/msg/${encodeURIComponent(msgId)}`;
  const text = await (await authorized(path)).text();
  return { message: JSON.parse(text) as Schemas["MessageOut"], payload: memberText(text, "payload") ?? "" };
}

export function Message() {
  const { appId, msgId } = route.useParams();
  const operator = useOperator();
  const application = $api.useQuery("get", "/api/v1/app/{app_id}", { params: { path: { app_id: appId } } });
  const { data, error, refetch } = useQuery({ queryKey: ["message", appId, msgId], queryFn: () => read(appId, msgId) });
  const trail = [
    ...(operator ? [
      <TextLink key="apps" to="/app">Applications</TextLink>,
      <TextLink key="app" to="/app/$appId" params={{ appId }}>{visible(application.data?.name ?? appId)}</TextLink>,
    ] : []),
    <TextLink key="messages" to="/app/$appId/msg" params={{ appId }}>Messages</TextLink>,
  ];
  if (error) return <Page title="Message" trail={trail}><ErrorState error={error} retry={() => void refetch()} /></Page>;
  const message = data?.message;
  return (
    <Page title={visible(message?.eventType ?? "…")} trail={trail} description={message && <>Sent <Time at={message.timestamp} /></>}>
      <div className="hw-halves">
        <Stack gap="lg" miw={0}>
          {data && <Deliveries appId={appId} msgId={data.message.id} payload={data.payload} />}
          {data && <Attempts appId={appId} msgId={data.message.id} payload={data.payload} />}
        </Stack>
        <Stack gap="lg" miw={0}>
          {message && (
            <Section title="Details">
              <Facts>
                <Fact name="Id"><Id id={message.id} /></Fact>
                {message.eventId && <Fact name="Event id"><SafeText>{message.eventId}</SafeText></Fact>}
                <Fact name="Channels"><Chips names={message.channels} all="None" /></Fact>
                <Fact name="Tags"><Chips names={message.tags} all="None" /></Fact>
                {message.deliverAt && <Fact name="To be sent at"><Time at={message.deliverAt} /></Fact>}
              </Facts>
            </Section>
          )}
          {data && (
            <Section title="Payload">
              {data.payload === "{}" || data.payload === "null" ? "It is empty, or was removed at the end of its retention." : <Payload label="Payload" text={data.payload} file={`${data.message.id}.json`} />}
            </Section>
          )}
        </Stack>
      </div>
    </Page>
  );
}
