// Turns the names of `moraine.yaml` into real bucket names: the stack creates buckets whose names are known only when deployed.
// Apart from `config-file.ts`, so that no YAML parser travels with the functions.

import type { MoraineConfig } from "./config.ts";

/** `mapping`: names created by the stack to real names. Buckets that existed before keep the name they have. */
export function resolveBuckets(config: MoraineConfig, mapping: Readonly<Record<string, string>>): MoraineConfig {
  const real = (bucket: string): string => (Object.hasOwn(mapping, bucket) ? (mapping[bucket] ?? bucket) : bucket);
  const resolveLocation = (uri: string): string =>
    uri.replace(/^s3:\/\/([^/]+)/, (_, bucket: string) => `s3://${real(bucket)}`);
  return {
    ...config,
    landing: config.landing.map((landing) => ({ ...landing, bucket: real(landing.bucket) })),
    warehouse: { ...config.warehouse, bucket: real(config.warehouse.bucket) },
    ingestions: config.ingestions.map((ingestion) => ({
      ...ingestion,
      source: { ...ingestion.source, bucket: real(ingestion.source.bucket) },
      target: {
        ...ingestion.target,
        ...(ingestion.target.location === undefined ? {} : { location: resolveLocation(ingestion.target.location) }),
      },
    })),
  };
}
