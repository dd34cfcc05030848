'use strict';
// Makes one executable of the plugin, with everything that it needs but node
// itself: relay runs a copy of it, so that nothing may stand beside it.

const fs = require('node:fs');
const name = require('./package.json').name;

require('esbuild').buildSync({
  entryPoints: ['plugin.js'],
  outfile: name,
  bundle: true,
  platform: 'node',
  target: 'node18',
  loader: { '.proto': 'text' },
  banner: { js: '#!/usr/bin/env node' },
  logLevel: 'warning',
});
fs.chmodSync(name, 0o755);
console.log('./' + name);
