import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const serviceSchema = z.looseObject({
  image: z.string(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  configs: z.array(z.object({ source: z.string(), target: z.string() })).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  healthcheck: z.looseObject({ test: z.array(z.string()).min(2) }).optional(),
  restart: z.string(),
})

const composeSchema = z.looseObject({
  name: z.string(),
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.unknown()),
  configs: z.record(z.string(), z.object({ content: z.string() })),
})

describe('docker-compose.temporal.yml', async () => {
  const text = await readFile(new URL('../../docker-compose.temporal.yml', import.meta.url), 'utf8')
  const compose = composeSchema.parse(parse(text))
  const services = Object.entries(compose.services)

  it.each(services)('%s has a pinned image', (_name, { image }) => {
    expect(image).toMatch(/^[a-z/-]+:\d+\.\d+(\.\d+)?$/)
  })

  it.each(services)('%s listens on this machine only', (_name, { ports }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
  })

  it.each(services)('%s waits for services that are there, in a way that they support', (_name, { depends_on }) => {
    for (const [name, { condition }] of Object.entries(depends_on)) {
      const target = compose.services[name]
      const isHealthy = condition === 'service_healthy' && target?.healthcheck !== undefined
      expect(
        isHealthy || (condition === 'service_completed_successfully' && target?.restart.startsWith('on-failure')),
      ).toBe(true)
    }
  })

  it.each(services.filter(([, { restart }]) => restart === 'unless-stopped'))(
    '%s tells whether it is healthy',
    (_name, service) => {
      expect(service.healthcheck).toBeDefined()
    },
  )

  it('names only volumes and configs that it has', () => {
    for (const [, { volumes, configs }] of services) {
      for (const volume of volumes) expect(compose.volumes).toHaveProperty(volume.split(':')[0] ?? '')
      for (const { source } of configs) expect(compose.configs).toHaveProperty(source)
    }
  })

  it('gives the server the database that PostgreSQL has', () => {
    const { postgresql, temporal } = compose.services
    expect(temporal?.environment['POSTGRES_PWD']).toBe(postgresql?.environment['POSTGRES_PASSWORD'])
    expect(temporal?.environment['POSTGRES_USER']).toBe(postgresql?.environment['POSTGRES_USER'])
  })
})
