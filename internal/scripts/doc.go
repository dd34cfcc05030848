// Package scripts finds templates and source scripts and compiles them.
//
// [Compile] is the compiler: TypeScript and JavaScript modules in, one program
// for each entry out, problems with their places. Source can be written that
// ends the process of whoever compiles it, so relay runs it in a child process:
// [Server] is that child's half, [Client] relay's, and both run source scripts
// too.
//
// [Library] is what relay itself holds: it reads the operator's directory and
// the built-in files and answers every [Library.Load] with a [Set] in which
// each template stands for itself: one that cannot be compiled keeps its last
// good program while the others move on, and its problems are listed. Nothing
// here watches files or decides when to load, and nothing runs templates: that
// is the providers' part.
//
// Which files are what, below the templates directory:
//
//	<provider>/<event type>.ts, <provider>/default.ts,
//	<event type>.ts, default.ts     found by name (a "/" of a type is written ".")
//	any other .ts or .js            found where a destination names it
//	sources/<name>.ts               source scripts
//	locales/<language>.json         translations for t(): one object of texts
//	lib/, *.d.ts, names that begin  never templates themselves; what is in lib
//	with "_" or "."                 and behind "_" can be imported
//	testdata/                       not read: what tests of templates compare with
package scripts
