// Drives jumpvisor over HTTP by both TypeScript clients, in short; `sdk_http.py --part typescript` starts
// it with the folder of its modules, the server's address, and in KEY a key with all rights. The server
// asks before it destroys. A line for each check; the last one is a JSON object of the counts.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, url] = process.argv.slice(2);
const key = process.env.KEY;
const load = (name) => import(pathToFileURL(createRequire(`${modules}/x.js`).resolve(name)));
const v2 = await import(pathToFileURL(`${modules}/node_modules/@modelcontextprotocol/client/dist/index.mjs`));
const v1 = {
  ...(await load('@modelcontextprotocol/sdk/client/index.js')),
  ...(await load('@modelcontextprotocol/sdk/client/streamableHttp.js')),
  ...(await load('@modelcontextprotocol/sdk/types.js')),
};
const BOUND = { timeout: 30_000 };

// Each way to connect: what says whether there is someone who can be asked, and what he answers.
const WAYS = {
  'client 2, auto': { sdk: v2, options: { versionNegotiation: { mode: 'auto' } }, era: '2026-07-28' },
  'client 2, 2026-07-28': { sdk: v2, options: { versionNegotiation: { mode: { pin: '2026-07-28' } } }, era: '2026-07-28' },
  'client 2, legacy': { sdk: v2, options: {}, era: '2025-11-25' },
  'sdk 1': { sdk: v1, options: {}, era: '2025-11-25' },
};

let passed = 0, failed = 0, where;

async function check(what, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok    ${where}: ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${where}: ${what}: ${String(error?.message ?? error).replace(/\s+/g, ' ').slice(0, 600)}`);
  }
}

function expect(truth, otherwise) {
  if (!truth) throw new Error(otherwise);
}

const text = (result) => result.content.filter((it) => it.type === 'text').map((it) => it.text).join('\n');

function good(result) {
  expect(!result.isError, `the tool failed: ${text(result)}`);
  return result;
}

// `asked` collects the questions that `answer` answers; without it nobody can be asked.
async function connect(way, headers, asked, answer) {
  const capabilities = asked ? { elicitation: { form: {} } } : {};
  const client = new way.sdk.Client({ name: 'judge', version: '1' }, { capabilities, ...way.options });
  if (asked) {
    const handler = async ({ params }) => {
      asked.push(params);
      if (answer !== 'accept') return { action: answer };
      const wanted = Object.entries(params.requestedSchema.properties ?? {}).filter(([, it]) => it.type === 'boolean');
      return { action: 'accept', content: Object.fromEntries(wanted.map(([name]) => [name, true])) };
    };
    client.setRequestHandler(way.sdk === v1 ? v1.ElicitRequestSchema : 'elicitation/create', handler);
  }
  const transport = new way.sdk.StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport, BOUND);
  const leave = async () => {
    if (transport.sessionId) await transport.terminateSession();
    await client.close();
  };
  return { client, transport, leave };
}

const call = (way, client, name, args = {}, options = {}) => {
  const params = { name, arguments: args };
  return way.sdk === v1 ? client.callTool(params, undefined, { ...BOUND, ...options }) : client.callTool(params, { ...BOUND, ...options });
};

async function state(way, client, name) {
  return good(await call(way, client, 'list_vms', { name, no_cache: true })).structuredContent.vms[0].power_state;
}

for (const [name, way] of Object.entries(WAYS)) {
  where = name;
  let vm;
  for (const [how, headers] of [['Bearer', { Authorization: `Bearer ${key}` }], ['X-API-Key', { 'X-API-Key': key }]]) {
    await check(`${how}: connects, lists and calls`, async () => {
      const { client, transport, leave } = await connect(way, headers);
      expect(client.getServerVersion().name === 'jumpvisor', `its name is ${client.getServerVersion().name}`);
      if (transport.protocolVersion) expect(transport.protocolVersion === way.era, `the era is ${transport.protocolVersion}`);
      const { tools } = await client.listTools({}, BOUND);
      expect(tools.some((it) => it.name === 'power_off'), `${tools.length} tools, no power_off`);
      const { vms } = good(await call(way, client, 'list_vms')).structuredContent;
      vm = vms.at(-1).name;
      const { resources } = await client.listResources({}, BOUND);
      expect(resources.some((it) => it.uri === 'esxi://vms'), `${resources.map((it) => it.uri)}`);
      const { contents } = await client.readResource({ uri: 'esxi://vms' }, BOUND);
      expect(contents[0].text.includes(vm), contents[0].text.slice(0, 200));
      const { prompts } = await client.listPrompts({}, BOUND);
      expect(prompts.length > 0, 'no prompts');
      await leave();
    });
  }
  const headers = { Authorization: `Bearer ${key}` };
  await check('a wrong key gets 401', async () => {
    try {
      await connect(way, { 'X-API-Key': 'f'.repeat(64) });
    } catch (error) {
      const said = `${error.code} ${error.status} ${error.data?.status} ${error.name} ${error.message}`;
      expect(said.match(/\b401\b|Unauthorized/), said);
      return;
    }
    throw new Error('it was let in');
  });
  await check('errors: of a tool as a result, of the protocol as an error', async () => {
    const { client, leave } = await connect(way, headers);
    const result = await call(way, client, 'get_vm_info', { name: 'no-such-vm' });
    expect(result.isError && text(result).includes('no-such-vm'), text(result));
    const error = await call(way, client, 'no_such_tool').then(() => null, (it) => it);
    expect(error?.code === -32602, `${error}`);
    await leave();
  });
  await check('progress, rising', async () => {
    const { client, leave } = await connect(way, headers);
    const seen = [];
    const options = { onprogress: (it) => seen.push(it.progress) };
    good(await call(way, client, 'create_snapshot', { name: vm, snapshot_name: 'by TypeScript', memory: false }, options));
    expect(seen.length >= 2 && seen.every((it, i) => !i || it > seen[i - 1]), `${seen}`);
    await leave();
  });
  await check('a call that is given up does not hold up the next', async () => {
    const { client, leave } = await connect(way, headers);
    const gone = new AbortController();
    setTimeout(() => gone.abort(), 200);
    const options = { signal: gone.signal };
    const ended = await call(way, client, 'create_snapshot', { name: vm, snapshot_name: 'never', memory: false }, options).then(
      () => 'an answer', () => 'given up');
    expect(ended === 'given up', ended);
    good(await call(way, client, 'list_vms'));
    await leave();
  });
  for (const [answer, after] of [['decline', 'on'], ['accept', 'off']]) {
    await check(`power_off, and the person says ${answer}: the VM is ${after}`, async () => {
      const asked = [];
      const { client, leave } = await connect(way, headers, asked, answer);
      await call(way, client, 'power_on', { name: vm });
      asked.length = 0;
      const result = await call(way, client, 'power_off', { name: vm });
      expect(asked.length === 1 && asked[0].message.includes(vm), `asked ${JSON.stringify(asked)}: ${text(result)}`);
      expect(Boolean(result.isError) === (answer === 'decline'), text(result));
      expect((await state(way, client, vm)) === after, `it is ${await state(way, client, vm)}`);
      await leave();
    });
  }
}
console.log(JSON.stringify({ passed, failed }));
process.exit(0);
