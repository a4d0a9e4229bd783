import { NativeSelect, NumberInput, TextInput } from "@mantine/core";
import { fieldsOf, type Field, type KindName } from "./conditions";
import { Quantity } from "./Quantity";

interface Props {
  kind: KindName;
  values: Record<string, string | number>;
  errors: Record<string, string>;
  onChange: (name: string, value: string | number) => void;
}

/** The thresholds of a condition. */
export function ConditionFields({ kind, values, errors, onChange }: Props) {
  return (
    <div className="hw-fields">
      {fieldsOf(kind).map((field) => (
        <One key={`${kind}.${field.name}`} field={field} value={values[field.name] ?? field.value} error={errors[`condition.${field.name}`]} onChange={(value) => onChange(field.name, value)} />
      ))}
    </div>
  );
}

function One({ field, value, error, onChange }: { field: Field; value: string | number; error: string | undefined; onChange: (value: string | number) => void }) {
  const common = { label: field.label, description: field.description, error };
  switch (field.kind) {
    case "duration":
      return <Quantity {...common} value={Number(value)} onChange={onChange} most={field.most} minutes={field.minutes} />;
    case "number":
      return <NumberInput {...common} value={value} onChange={onChange} min={0} {...(field.most && { max: field.most })} {...(field.unit && { suffix: ` ${field.unit}` })} required />;
    case "choice":
      return <NativeSelect {...common} data={field.options} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)} />;
    case "text":
      return <TextInput {...common} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)} placeholder={field.placeholder} required spellCheck={false} />;
  }
}
