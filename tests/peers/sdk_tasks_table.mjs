// What `sdk_tasks.mjs` has a server do: for each scenario the tool, its arguments (made with a name that
// is new each time), what its text `says`, and what is so in the world afterwards: `effect` at its end,
// `undone` when it was cancelled, `declined` when the person said no. Each of these tells what is wrong,
// or `true`. A scenario that is missing is not tried.

import fs from 'node:fs';

const { FOLDER } = process.env; // of files that the server reads and writes

export const text = (result) => result.content.filter((it) => it.type === 'text').map((it) => it.text).join('\n');

const vm = (wanted) => async (plain, name) => {
  const { vms } = (await plain('list_vms', { no_cache: true, limit: 1000 })).structuredContent;
  return vms.some((it) => it.name === name) === wanted || `the VM ${name} is ${wanted ? 'missing' : 'there'}`;
};

const hostTasks = async (plain) => text(await plain('list_recent_tasks', { response_format: 'detailed' }));
const cancelledAtHost = async (plain) => {
  const said = await hostTasks(plain);
  return /cancel/i.test(said) || `no task of the host is cancelled: ${said.slice(0, 300)}`;
};
/** Nothing is made any more, and nothing was. */
const noClone = async (plain, name) => {
  const said = await hostTasks(plain);
  return said.includes('running') ? `a task still runs: ${said.slice(0, 300)}` : vm(false)(plain, name);
};

// Its folder is slow to read (see FAULTS), so that its plan takes longer than what becomes a task.
const CONFIG = { datastore: 'nas01', path: 'backup/edge01-config.txt' };
const config = (wanted) => async (plain) => {
  const said = text(await plain('browse_datastore', { datastore: CONFIG.datastore, path: 'backup' }));
  return said.includes('edge01-config.txt') === wanted || `the file is ${wanted ? 'gone' : 'still there'}`;
};

const files = (name) => fs.readdirSync(FOLDER).filter((it) => it.includes(name));
const anOva = () => `${FOLDER}/${fs.readdirSync(FOLDER).find((it) => it.endsWith('.ova'))}`;

const clone = { tool: 'clone_vm', args: (name) => ({ template_name: 'fw-lab', new_name: name, datastore: 'datastore1' }) };

export const TABLES = {
  fixtures: {
    quick: { tool: 'greet', args: (name) => ({ name }), says: /^Hello, / },
    slow: { tool: 'slow_compute', args: (name) => ({ seconds: 1, label: name }), says: /^computed / },
    fails: { tool: 'failing_job', says: /the job failed/ },
    breaks: { tool: 'protocol_error_job', code: -32603 },
    asks: { tool: 'confirm_delete', args: (filename) => ({ filename }), question: /^Delete /, says: /^asked about / },
    asksTwo: { tool: 'multi_input', question: /^The (first|second) name/, says: /^both came$/ },
    asksFirst: { tool: 'test_tool_with_task', question: /your name/, says: /^Hello, / },
    long: { tool: 'slow_compute', args: (name) => ({ seconds: 60, label: name }) },
  },
  product: {
    quick: { tool: 'list_vms', says: /web01/ },
    slow: { ...clone, says: /copied from `fw-lab`/, tells: /copying/ },
    fails: { tool: 'wait_for_vm_tools', args: () => ({ name: 'edge01', timeout: 5 }), says: /still not running/ },
    agrees: { tool: 'delete_datastore_file', args: () => CONFIG, question: /edge01-config/, says: /deleted/,
      without: /approval_token/, declined: config(true), effect: config(false) },
    asksFirst: { tool: 'copy_datastore_file', question: /db01\/db01\.vmdk/, says: /copied/,
      args: (name) => ({ source_datastore: 'datastore1', source_path: 'db01/db01.vmdk', dest_path: `${name}.vmdk` }) },
    long: { ...clone, undone: noClone, cancelled: cancelledAtHost },
    told: { ...clone, says: /copied from `fw-lab`/ },
    others: [
      // Their disks take time on the way (see FAULTS); what is not made after so many milliseconds never is.
      { tool: 'export_vm_ovf', args: (name) => ({ vm_name: 'fw-lab', target_path: `${FOLDER}/${name}.ova` }), says: /exported/, lasts: 6000,
        effect: (_, name) => files(name).join() === `${name}.ova` || `there is ${files(name)}`,
        undone: (_, name) => !files(name).length || `there is ${files(name)}` },
      { tool: 'deploy_ova', args: (name) => ({ ova_path: anOva(), vm_name: name }), says: /is made/, lasts: 6000,
        effect: vm(true), undone: vm(false) },
    ],
  },
};
