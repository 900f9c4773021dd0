# Carillon QoS lync-kloud mediation
# Windows 8 and later, Windows Server 2012 and later. Windows 7 has no NetQos cmdlets.
$ErrorActionPreference = 'Stop'
Get-NetQosPolicy | Where-Object { $_.Name -like 'Carillon mediation *' } | Remove-NetQosPolicy -Confirm:$false
