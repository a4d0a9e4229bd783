import { Group, NativeSelect, NumberInput } from "@mantine/core";
import { useState } from "react";

const UNITS = [{ value: "1", label: "seconds" }, { value: "60", label: "minutes" }, { value: "3600", label: "hours" }, { value: "86400", label: "days" }];

interface Props {
  label: string;
  description?: string | undefined;
  error?: string | undefined;
  /** In seconds. */
  value: number;
  onChange: (seconds: number) => void;
  most?: number | undefined;
  /** Whether only whole minutes are offered. */
  minutes?: boolean | undefined;
  least?: number;
}

/** A length of time, in the largest unit that it is a whole number of. */
export function Quantity({ label, description, error, value, onChange, most, minutes, least = 1 }: Props) {
  const units = minutes ? UNITS.slice(1) : UNITS;
  const [unit, setUnit] = useState(() => Number([...units].reverse().find(({ value: size }) => value > 0 && value % Number(size) === 0)?.value ?? 60));
  return (
    <Group gap={6} align="flex-end" wrap="nowrap">
      <NumberInput
        label={label}
        description={description}
        error={error}
        value={value / unit}
        onChange={(number) => onChange(Math.round(Number(number) * unit))}
        min={least}
        {...(most && { max: most / unit })}
        allowDecimal={false}
        required
        style={{ flex: 1 }}
      />
      <NativeSelect
        aria-label={`Unit of “${label}”`}
        data={units}
        value={String(unit)}
        onChange={({ currentTarget }) => {
          setUnit(Number(currentTarget.value));
          onChange((value / unit) * Number(currentTarget.value));
        }}
        w={110}
      />
    </Group>
  );
}
