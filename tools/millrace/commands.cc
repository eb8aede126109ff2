#include "tools/millrace/command.h"

namespace millrace {

std::vector<Command> AllCommands() {
  return {AppendCommand(),     CatCommand(),        TailCommand(),         StatCommand(),
          VerifyCommand(),     DumpCommand(),       BackupCommand(),       SalvageCommand(),
          CursorListCommand(), CursorMoveCommand(), CursorDeleteCommand(), TrimCommand(),
          TruncateCommand(),   BenchCommand(),      CompletionCommand(),   ManCommand(),
          HelpCommand()};
}

}  // namespace millrace
