defmodule Mix.Tasks.Compile.Bootmigrate do
  @moduledoc "Packs the migrations into priv/."
  use Mix.Task.Compiler

  @impl true
  def run(_arguments) do
    workbench = System.get_env("BOOTMIGRATE_WORKBENCH", "bootmigrate-workbench")
    File.mkdir_p!("priv")

    case System.cmd(workbench, ~w(--migrations ../migrations pack --output priv/notes.catalogue), stderr_to_stdout: true) do
      {said, 0} -> {:ok, Mix.shell().info(String.trim(said)) && []}
      {said, _} -> Mix.raise(said)
    end
  end
end

defmodule Notes.MixProject do
  use Mix.Project

  def project do
    [
      app: :notes,
      version: "1.0.0",
      elixir: "~> 1.14",
      compilers: [:bootmigrate] ++ Mix.compilers(),
      releases: [notes: [include_erts: false, steps: [:assemble, &catalogue/1]]]
    ]
  end

  # As the image has it below its root.
  defp catalogue(release) do
    folder = Path.join(release.path, "image/usr/lib/bootmigrate")
    File.mkdir_p!(folder)
    File.cp!("priv/notes.catalogue", Path.join(folder, "notes.catalogue"))
    release
  end

  def application, do: [mod: {Notes.Application, []}]
end
