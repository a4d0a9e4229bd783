import { Anchor, Breadcrumbs, Group, Stack, Text, Title } from "@mantine/core";
import { useEffect, type ReactNode } from "react";

interface Props {
  title: string;
  /** Beside the title. */
  badge?: ReactNode;
  description?: ReactNode;
  /** Links to what this is a part of. */
  trail?: ReactNode[];
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page. */
export function Page({ title, badge, description, trail, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · Hookwright`;
  }, [title]);
  return (
    <Stack gap="lg" className="hw-page">
      <Stack gap={6}>
        {trail && <Breadcrumbs separator="/" separatorMargin={8} className="hw-trail" component="nav" aria-label="Where this is">{trail}</Breadcrumbs>}
        <Group justify="space-between" align="flex-start" gap="sm">
          <Stack gap={4} style={{ minWidth: 0, flex: "1 1 260px" }}>
            <Group gap="sm">
              <Title order={1} style={{ overflowWrap: "anywhere" }}>{title}</Title>
              {badge}
            </Group>
            {description && <Text component="div" c="dimmed" size="sm" maw={720}>{description}</Text>}
          </Stack>
          {actions && <Group gap="xs">{actions}</Group>}
        </Group>
      </Stack>
      {children}
    </Stack>
  );
}

interface SectionProps {
  title: string;
  description?: ReactNode;
  actions?: ReactNode;
  /** Children that fill the card up to its border, such as tables. */
  flush?: boolean;
  children: ReactNode;
}

/** A part of a page, as a card. */
export function Section({ title, description, actions, flush, children }: SectionProps) {
  return (
    <section className="hw-card" aria-label={title}>
      <Group justify="space-between" gap="xs" className="hw-card-head">
        <div>
          <Title order={2}>{title}</Title>
          {description && <Text size="sm" c="dimmed" mt={2} component="div">{description}</Text>}
        </div>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      <div className={flush ? "hw-card-flush" : "hw-card-body"}>{children}</div>
    </section>
  );
}

/** Names and values. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="hw-facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

/** One number. */
export function Figure({ name, value, note, tone }: { name: string; value: ReactNode; note?: ReactNode; tone?: "bad" | "good" }) {
  return (
    <div className="hw-card hw-figure">
      <Text size="sm" c="dimmed">{name}</Text>
      <div className={`hw-figure-value ${tone ? `hw-${tone}` : ""}`}>{value}</div>
      <Text size="xs" c="dimmed" component="div">{note ?? "\u00a0"}</Text>
    </div>
  );
}

/** A link out of the console. */
export function Outside({ href, children }: { href: string; children: ReactNode }) {
  return <Anchor href={href} target="_blank" rel="noreferrer">{children}</Anchor>;
}
