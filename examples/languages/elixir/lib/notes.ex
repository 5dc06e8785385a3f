defmodule Notes.Ready do
  @moduledoc "Returns from `init` when bootmigrate has finished with the database."
  use GenServer

  def start_link(database), do: GenServer.start_link(__MODULE__, database)

  @impl true
  def init(database) do
    seconds = String.to_integer(System.get_env("NOTES_WAIT_S", "60"))
    path = Path.join([System.get_env("NOTES_ROOT", "/"), "run/bootmigrate/ready", database])
    wait(path, System.monotonic_time(:millisecond) + 1000 * seconds)
  end

  defp wait(path, until) do
    cond do
      File.exists?(path) ->
        {:ok, path}

      System.monotonic_time(:millisecond) >= until ->
        {:stop, :not_ready}

      true ->
        Process.sleep(50)
        wait(path, until)
    end
  end
end

defmodule Notes.Application do
  @moduledoc "The children after `Notes.Ready` may open the database."
  use Application

  @impl true
  def start(_type, _arguments) do
    Supervisor.start_link([{Notes.Ready, "notes"}], strategy: :rest_for_one)
  end
end
