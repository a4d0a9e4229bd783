import { Button, Group, Modal, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { ApiError, type Schemas } from "../../api/client";
import { failed } from "../../components/notify";
import { submitted } from "../../components/submitted";
import { ChannelFields } from "./ChannelFields";
import { fresh, fromOut, toIn } from "./channels";
import { ConditionFields } from "./ConditionFields";
import { conditionOf, isKind, kindOf, KINDS, valuesOf, type KindName } from "./conditions";
import { Quantity } from "./Quantity";

interface Props {
  title: string;
  action: string;
  opened: boolean;
  onClose: () => void;
  /** What is there already. */
  from?: Schemas["AlertRuleOut"];
  save: (rule: Schemas["AlertRuleIn"]) => Promise<unknown>;
}

/** What a rule is made of. */
export function RuleForm({ title, action, opened, onClose, from, save }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="lg" centered>
      <Form action={action} onClose={onClose} save={save} {...(from && { from })} />
    </Modal>
  );
}

function Form({ action, onClose, from, save }: Omit<Props, "title" | "opened">) {
  const [name, setName] = useState(from?.name ?? "");
  const [kind, setKind] = useState<KindName>(from ? kindOf(from.condition) : "endpoint_failing");
  const [values, setValues] = useState(() => valuesOf(kind, from?.condition));
  const [hold, setHold] = useState(from?.holdSecs ?? 60);
  const [channels, setChannels] = useState(() => (from ? fromOut(from.channels) : [fresh("operational")]));
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);

  const choose = (chosen: string) => {
    if (!isKind(chosen)) return;
    setKind(chosen);
    setValues(valuesOf(chosen));
    setErrors({});
  };
  const submit = async () => {
    setBusy(true);
    try {
      await save({
        name: name.trim() || KINDS[kind].label,
        enabled: from?.enabled ?? true,
        condition: conditionOf(kind, values),
        holdSecs: hold,
        channels: toIn(channels),
      });
      onClose();
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) setErrors(error.fields);
      else failed(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <form onSubmit={submitted(submit)}>
      <Stack>
        <NativeSelect
          label="Tell me when"
          description={KINDS[kind].about}
          data={Object.entries(KINDS).map(([value, { label }]) => ({ value, label }))}
          value={kind}
          onChange={({ currentTarget }) => choose(currentTarget.value)}
          error={errors.condition}
          data-autofocus
        />
        <ConditionFields kind={kind} values={values} errors={errors} onChange={(field, value) => setValues({ ...values, [field]: value })} />
        <Quantity
          label="It must last for"
          description="Before it fires; and be good for as long before it is over. 0: at once."
          value={hold}
          onChange={setHold}
          least={0}
          most={86_400}
          error={errors.holdSecs}
        />
        <TextInput label="Name" description="As notices call it." placeholder={KINDS[kind].label} value={name} onChange={({ currentTarget }) => setName(currentTarget.value)} error={errors.name} />
        <ChannelFields channels={channels} errors={errors} onChange={setChannels} />
        <Text size="sm" c="dimmed">Rules are looked at every 15 seconds. Everybody is told again when it is over.</Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>Cancel</Button>
          <Button type="submit" loading={busy}>{action}</Button>
        </Group>
      </Stack>
    </form>
  );
}
