//go:build !windows

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/internal/app"
)

func (c *cli) storeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Copies the store", Args: cobra.NoArgs, RunE: needsCommand}
	cmd.AddCommand(c.storeBackup())
	return c.remote(cmd)
}

func (c *cli) storeBackup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Writes a copy of the store as it is at one moment, whether relay runs or not", Args: between(1, 1),
		Long: `Writes a copy of the store as it is at one moment. relay may run and goes on
meanwhile. To bring it back, stop relay, put the copy into an empty directory as
relay.db, and let store.path name that directory.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			if _, err := os.Lstat(file); err == nil {
				return fmt.Errorf("%s exists already; a backup overwrites nothing", file)
			}
			server, err := c.client()
			if err != nil {
				return err
			}
			err = c.backupRunning(cmd.Context(), server, file)
			var nobody *unreachable
			if errors.As(err, &nobody) && c.server == "" && os.Getenv("RELAY_SERVER") == "" {
				err = c.backupClosed(cmd.Context(), file, err)
			}
			if err != nil {
				return err
			}
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%s: %s\n", file, size(info.Size()))
			return nil
		},
	}
}

// backupRunning has the running relay make the copy, and fetches it.
func (c *cli) backupRunning(ctx context.Context, server *client, file string) (err error) {
	line := c.progress()
	defer line.end()
	line.say("relay makes the copy…")
	server.http.Timeout = 0 // as long as it takes
	resp, err := server.open(ctx, http.MethodPost, "/v1/store/backup", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already; a backup overwrites nothing", file)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(file) // half a copy is none
		}
	}()
	read := &counted{of: resp.ContentLength, from: resp.Body, line: line}
	if _, err := io.Copy(f, read); err != nil {
		return fmt.Errorf("fetch the copy: %w", err)
	}
	return f.Sync()
}

// counted tells how much of something was read.
type counted struct {
	from  io.Reader
	line  *progress
	n, of int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	c.line.say("fetched %s of %s", size(c.n), size(c.of))
	return n, err
}

// backupClosed makes the copy itself, since no relay runs.
func (c *cli) backupClosed(ctx context.Context, file string, unanswered error) error {
	cfg, err := c.loadConfig()
	if err != nil {
		return errors.Join(unanswered, fmt.Errorf("and where its store is, cannot be said:\n%w", err))
	}
	return app.BackupClosed(ctx, cfg.Store.Path, file)
}
