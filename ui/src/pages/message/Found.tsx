/** A search through payloads: shows what is found as it is found, and how far it is. */
import { Button, Group, Loader, Text } from "@mantine/core";
import { IconSearchOff } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import type { Schemas } from "../../api/client";
import { readLines, withQuery } from "../../api/stream";
import { DataTable } from "../../components/DataTable";
import { EmptyState, ErrorState } from "../../components/states";
import { since } from "../../components/TimeRange";
import { count, shortTime } from "../../format";
import { messageColumns, type Search } from "../Messages";

type Line = Schemas["MessageSearchLine"];

const ENDS = {
  end: "All messages of this time were looked at.",
  limit: "There may be more: narrow the search to see them.",
  bound: "It stopped at its bound: choose a shorter time to look at the rest.",
  stopped: "You stopped it.",
};

export function Found({ appId, search }: { appId: string; search: Search }) {
  const [found, setFound] = useState<Schemas["MessageOut"][]>([]);
  const [progress, setProgress] = useState<Schemas["MessageSearchProgress"]>();
  const [end, setEnd] = useState<keyof typeof ENDS>();
  const [error, setError] = useState<unknown>();
  const aborter = useRef<AbortController>(null);

  useEffect(() => {
    const abort = new AbortController();
    aborter.current = abort;
    const path = withQuery(`/api/v1/app/${encodeURIComponent(appId)}/msg/search`, {
      text: search.text, status: search.status, event_types: search.type, channel: search.channel, tag: search.tag,
      since: since(search.range ?? "24h"), limit: 250,
    });
    const take = (text: string) => {
      if (!text) return;
      const line = JSON.parse(text) as Line;
      if ("message" in line) setFound((before) => [...before, line.message]);
      else if ("progress" in line) setProgress(line.progress);
      else if ("error" in line) setError(new Error(line.error.detail));
      else {
        setProgress({ scanned: line.done.scanned });
        setEnd(line.done.reason);
      }
    };
    readLines(path, abort.signal, take).catch((error: unknown) => {
      if (!abort.signal.aborted) setError(error);
    });
    return () => abort.abort();
  }, [appId, search]);

  if (error) return <ErrorState error={error} />;
  const stop = () => {
    aborter.current?.abort();
    setEnd("stopped");
  };
  return (
    <>
      <Group p="sm" px="md" justify="space-between" className="hw-card-head" role="status">
        <Group gap="xs">
          {!end && <Loader size={14} />}
          <Text size="sm">
            {count(found.length)} found, {count(progress?.scanned ?? 0)} looked at
            {progress?.at ? `, back to ${shortTime(progress.at)}` : ""}. {end ? ENDS[end] : `Looking at the last ${search.range ?? "24h"}.`}
          </Text>
        </Group>
        {!end && <Button size="compact-xs" variant="default" onClick={stop}>Stop</Button>}
      </Group>
      {(found.length > 0 || end) && (
        <DataTable
          label="Messages found"
          rows={found}
          columns={messageColumns(appId)}
          rowKey={(message) => message.id}
          empty={<EmptyState title="Nothing was found" icon={<IconSearchOff size={22} />}>Choose a longer time, or another text.</EmptyState>}
        />
      )}
    </>
  );
}
