import { Button, Loader, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { $api, type Schemas } from "../../api/client";
import { SafeText } from "../../components/SafeText";
import { StatusBadge } from "../../components/StatusBadge";
import { EmptyState, ErrorState } from "../../components/states";
import { channelText } from "./channels";

/** Tells each channel of a rule that it is a test, and shows what came of it. */
export function TestNotice({ rule }: { rule: Schemas["AlertRuleOut"] }) {
  const [opened, { open, close }] = useDisclosure();
  const test = $api.useMutation("post", "/api/v1/alert/rule/{rule_id}/test");
  const send = () => {
    open();
    test.mutate({ params: { path: { rule_id: rule.id } } });
  };
  return (
    <>
      <Button size="compact-xs" variant="default" onClick={send}>Send test notice</Button>
      <Modal opened={opened} onClose={close} title="Test notice" centered>
        <div role="status">
          {test.error ? <ErrorState error={test.error} retry={send} /> : !test.data ? <Loader size="sm" aria-label="Sending" /> : (
            <Stack gap="sm">
              {test.data.data.length === 0 && <EmptyState title="This rule tells nobody">Edit it to add a channel.</EmptyState>}
              {test.data.data.map(({ channel, sent, error }, index) => (
                <div key={index}>
                  <Text size="sm" fw={560} mb={2}><SafeText>{channelText(channel)}</SafeText></Text>
                  <StatusBadge tone={sent ? "good" : "bad"}>{sent ? "Sent" : "Not sent"}</StatusBadge>
                  {error && <Text size="sm" mt={4}><SafeText>{error}</SafeText></Text>}
                </div>
              ))}
            </Stack>
          )}
        </div>
      </Modal>
    </>
  );
}
