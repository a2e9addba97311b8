// Turns the names of `moraine.yaml` into real bucket names: the stack creates buckets whose names are known only when deployed.
// Apart from `config-file.ts`, so that no YAML parser travels with the functions.

import type { Discovery, MoraineConfig } from "./config.ts";
import type { Listing } from "./discovery/model.ts";

/** `mapping`: names created by the stack to real names. Buckets that existed before keep the name they have. */
export function resolveBuckets(config: MoraineConfig, mapping: Readonly<Record<string, string>>): MoraineConfig {
  const real = (bucket: string): string => (Object.hasOwn(mapping, bucket) ? (mapping[bucket] ?? bucket) : bucket);
  const resolveLocation = (uri: string): string =>
    uri.replace(/^s3:\/\/([^/]+)/, (_, bucket: string) => `s3://${real(bucket)}`);
  const resolveListing = (listing: Listing): Listing =>
    listing.strategy === "inventory" ? { ...listing, location: resolveLocation(listing.location) } : listing;
  const resolveDiscovery = (discovery: Discovery): Discovery => ({
    ...discovery,
    listing: resolveListing(discovery.listing),
    schedules: discovery.schedules.map((schedule) => ({ ...schedule, listing: resolveListing(schedule.listing) })),
  });
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
      discovery: resolveDiscovery(ingestion.discovery),
    })),
  };
}
